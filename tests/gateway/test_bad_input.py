"""What clients get wrong, and that each mistake is named in OpenAI's shape before it costs the engine anything."""

from __future__ import annotations

import json

import openai
import pytest

MODEL = "tiny-instruct"
HELLO = [{"role": "user", "content": "Say hello"}]
CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"


def post(http, path, content):
    return http.post(path, content=content, headers={"content-type": "application/json"})


def refusal(http, harness, path, body, status=400):
    """Send the body, check the shape of the refusal, return the error."""
    response = post(http, path, body if isinstance(body, bytes) else json.dumps(body).encode())
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert response.headers["x-request-id"]
    assert harness.triton.asked == []
    return error


def chat(**changes):
    return {"model": MODEL, "messages": HELLO, **changes}


def completion(**changes):
    return {"model": MODEL, "prompt": "a", **changes}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"model": "a",}', b"[1]", b'"text"', b"null", b'{"model": "\\ud800"}', b"[" * 100_000],
    ids=["empty", "cut", "comma", "list", "string", "null", "half a surrogate", "deep"],
)
@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_invalid_json_is_refused(http, harness, path, body):
    assert refusal(http, harness, path, body)["type"] == "invalid_request_error"


def test_json_that_nests_too_deeply_inside_a_field_is_refused(http, harness):
    body = b'{"model":"a","messages":' + b"[" * 5000 + b"]" * 5000 + b"}"
    refusal(http, harness, CHAT, body)


def test_invalid_utf8_is_refused(http, harness):
    body = json.dumps(chat()).encode().replace(b"Say", b"\xff\xfe")
    assert "UTF-8" in refusal(http, harness, CHAT, body)["message"]


def test_another_content_type_is_refused(http):
    response = http.post(CHAT, content=json.dumps(chat()), headers={"content-type": "text/plain"})
    assert response.status_code == 415
    assert "application/json" in response.json()["error"]["message"]


def test_an_oversized_body_is_refused_and_the_connection_ends(http):
    response = post(http, CHAT, json.dumps(chat(user="x" * (5 << 20))).encode())
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "body_too_large"
    assert response.headers["connection"] == "close"


def test_an_oversized_body_without_a_declared_length_is_refused(http):
    def pieces():
        for _ in range(80):
            yield b" " * 65536

    assert post(http, CHAT, pieces()).status_code == 413


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_temperature_that_is_no_number_is_named(http, harness, literal):
    body = json.dumps(chat()).replace("}]", f'}}], "temperature": {literal}').encode()
    assert refusal(http, harness, CHAT, body)["param"] == "temperature"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1),
        ("temperature", "hot"),
        ("temperature", True),
        ("top_p", 0),
        ("top_p", 1.1),
        ("top_k", -2),
        ("min_p", 2),
        ("repetition_penalty", 0),
        ("presence_penalty", 2.1),
        ("frequency_penalty", -2.1),
        ("max_tokens", -2),
        ("max_tokens", 1.5),
        ("max_tokens", "10"),
        ("max_tokens", 1 << 31),
        ("min_tokens", -1),
        ("stop", ["x"] * 17),
        ("stop", [""]),
        ("stop", 5),
        ("stop_token_ids", [-1]),
        ("seed", 1 << 63),
        ("seed", "a"),
        ("logit_bias", {"1": 101}),
        ("logit_bias", {"x": 1}),
        ("logit_bias", [1]),
        ("stream", "yes"),
        ("stream_options", {"include_usage": True}),
        ("ignore_eos", "no"),
        ("model", 5),
    ],
)
@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_a_wrong_value_is_refused_by_name(http, harness, path, field, value):
    body = chat() if path == CHAT else completion()
    error = refusal(http, harness, path, {**body, field: value})
    assert error["param"].startswith(field)


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (CHAT, chat(max_completion_tokens=-2), "max_completion_tokens"),
        (CHAT, chat(max_completion_tokens=5, max_tokens=6), "max_tokens"),
        (CHAT, chat(top_logprobs=2), "top_logprobs"),
        (CHAT, chat(logprobs=True, top_logprobs=21), "top_logprobs"),
        (CHAT, chat(logprobs=2), "logprobs"),
        (CHAT, {"messages": HELLO}, "model"),
        (CHAT, {"model": MODEL}, "messages"),
        (CHAT, chat(messages=[]), "messages"),
        (CHAT, chat(messages="hello"), "messages"),
        (CHAT, chat(messages=[{"role": "user"}]), "messages[0].content"),
        (CHAT, chat(messages=[{"role": "user", "content": None}]), "messages[0].content"),
        (CHAT, chat(messages=[{"role": "robot", "content": "a"}]), "messages[0].role"),
        (CHAT, chat(messages=[{"role": "tool", "content": "a"}]), "messages[0].tool_call_id"),
        (CHAT, chat(messages=[{"content": "a"}]), "messages[0].role"),
        (CHAT, chat(messages=[{"role": "assistant"}]), "messages[0]"),
        (CHAT, chat(n=9), "n"),
        (CHAT, chat(n=0), "n"),
        (CHAT, chat(tools=[{"type": "custom", "custom": {"name": "f"}}]), "tools[0]"),
        (CHAT, chat(tools=[{"type": "function", "function": {"name": "a b"}}]), "tools[0].function.name"),
        (CHAT, chat(tool_choice="maybe"), "tool_choice"),
        (CHAT, chat(tool_choice={"type": "function", "function": {}}), "tool_choice.function.name"),
        (CHAT, chat(response_format={"type": "yaml"}), "response_format.type"),
        (CHAT, chat(response_format={"type": "json_schema"}), "response_format.json_schema"),
        (
            CHAT,
            chat(response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": 5}}),
            "response_format.json_schema.schema",
        ),
        (CHAT, chat(reasoning_effort="some"), "reasoning_effort"),
        (CHAT, chat(chat_template_kwargs={"enable_thinking": "yes"}), "chat_template_kwargs.enable_thinking"),
        (CHAT, chat(chat_template_kwargs={"a": []}), "chat_template_kwargs.a"),
        (COMPLETIONS, completion(n=9), "n"),
        (COMPLETIONS, completion(suffix=5), "suffix"),
        (COMPLETIONS, completion(logprobs=21), "logprobs"),
        (COMPLETIONS, completion(logprobs=True), "logprobs"),
        (COMPLETIONS, {"model": MODEL}, "prompt"),
        (COMPLETIONS, completion(prompt=["a", ""]), "prompt"),
        (COMPLETIONS, completion(prompt=[[1], [100_000]]), "prompt"),
        (COMPLETIONS, completion(prompt=[1, -2]), "prompt"),
        (COMPLETIONS, completion(prompt=[1, 100_000]), "prompt"),
        (COMPLETIONS, completion(prompt={"a": 1}), "prompt"),
        (COMPLETIONS, completion(max_completion_tokens=-2), "max_completion_tokens"),
    ],
)
def test_a_wrong_or_missing_field_is_refused_by_name(http, harness, path, body, param):
    assert refusal(http, harness, path, body)["param"].startswith(param)


def test_a_part_of_a_message_that_is_no_text_is_named(http, harness):
    picture = {"type": "image_url", "image_url": {"url": "http://example.com/a.png"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "a"}, picture]}]
    assert refusal(http, harness, CHAT, chat(messages=messages))["param"] == "messages[0].content[1]"


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        (CHAT, "tools", [{"type": "function", "function": {"name": "f"}}]),
        (CHAT, "functions", [{"name": "f"}]),
        (CHAT, "function_call", {"name": "f"}),
        (CHAT, "plugins", [{"id": "web"}]),
        (CHAT, "modalities", ["text", "audio"]),
        (CHAT, "chat_template", "{{ messages }}"),
        (CHAT, "documents", [{"text": "a"}]),
        (COMPLETIONS, "use_beam_search", True),
        (COMPLETIONS, "use_beam_search", 0),
        (COMPLETIONS, "messages", HELLO),
        (COMPLETIONS, "best_of", 3),
        (COMPLETIONS, "suffix", "end"),
    ],
)
def test_a_parameter_that_cannot_be_honoured_is_named(http, harness, path, field, value):
    body = chat() if path == CHAT else completion()
    error = refusal(http, harness, path, {**body, field: value})
    assert error["param"] == field
    assert "is not supported" in error["message"]


@pytest.mark.parametrize("prompt", ["", [], [[]], [""]])
def test_an_empty_prompt_is_refused(http, harness, prompt):
    error = refusal(http, harness, COMPLETIONS, completion(prompt=prompt))
    assert (error["param"], error["message"]) == ("prompt", "prompt is empty")


def test_a_prompt_longer_than_the_context_is_refused(http, harness):
    error = refusal(http, harness, COMPLETIONS, completion(prompt="x" * 512))
    assert (error["param"], error["code"]) == ("prompt", "context_length_exceeded")
    long = [{"role": "user", "content": "x" * 20_000}]
    error = refusal(http, harness, CHAT, chat(messages=long))
    assert (error["param"], error["code"]) == ("messages", "context_length_exceeded")
    # By these words of the vendors, Claude Code compacts a conversation, and LiteLLM uses another model.
    assert error["message"].startswith("prompt is too long: ")
    assert "this model's maximum context length is 512 tokens" in error["message"]


def test_max_tokens_beyond_the_context_says_how_many_are_left(http, harness):
    error = refusal(http, harness, COMPLETIONS, completion(prompt="x" * 500, max_tokens=13))
    assert (error["param"], error["code"]) == ("max_tokens", "context_length_exceeded")
    assert "12" in error["message"]


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_an_unknown_model_is_not_found(http, harness, path):
    body = chat(model="gpt-5") if path == CHAT else completion(model="gpt-5")
    error = refusal(http, harness, path, body, status=404)
    assert (error["param"], error["code"]) == ("model", "model_not_found")


def test_an_unknown_model_raises_the_clients_own_error(client):
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-5")


def test_a_chat_with_a_base_model_is_refused(http, harness):
    error = refusal(http, harness, CHAT, chat(model="tiny-base"))
    assert "/v1/completions" in error["message"]


def test_an_unknown_path_is_not_found(http):
    response = http.get("/v1/engines")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")


def test_an_unknown_method_says_which_are_allowed(http):
    response = http.get(CHAT)
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert response.json()["error"]["code"] == "method_not_allowed"


def test_a_request_id_of_the_client_comes_back_if_it_is_plain(http):
    assert http.get("/v1/models", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert http.get("/v1/models", headers={"x-request-id": "a b"}).headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("settings", [{"enable_search": 0.0}, {"use_beam_search": 0}, {"n": True}, {"logprobs": 1}])
def test_numbers_are_no_booleans_and_booleans_no_numbers(http, settings):
    body = {"model": MODEL, "messages": [{"role": "user", "content": "a"}], "stream": True, **settings}
    response = http.post("/v1/chat/completions", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["param"].startswith(next(iter(settings)))
