"""What Ollama's clients send that the box does not have: each is ignored and named, or refused with its reason."""

from __future__ import annotations

import httpx
import ollama
import pytest

from appliance.gateway.ollama.parameters import CHAT, EMBED, GENERATE, OPTIONS, POLICIES, SHOW
from appliance.gateway.ollama.schema import EmbedBody, EmbedOneBody, GenerateBody, OllamaChatBody, Options, ShowBody
from tests.reference.parameter_table import names_of

HEADER = "appliance-ignored-parameters"
MODEL = "tiny-instruct"
HELLO = [{"role": "user", "content": "Say hello"}]
BODIES = {
    "/api/chat": {"model": MODEL, "messages": HELLO},
    "/api/generate": {"model": MODEL, "prompt": "a"},
    "/api/show": {"model": MODEL},
}
TABLES = {"/api/chat": POLICIES[CHAT], "/api/generate": POLICIES[GENERATE], "/api/show": SHOW}


def refused(http, harness, path, changes, status=400) -> str:
    response = http.post(path, json={**BODIES[path], **changes})
    assert response.status_code == status, response.text
    assert response.json().keys() == {"error"}
    assert harness.triton.asked == []
    return str(response.json()["error"])


def named(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    header = response.headers.get(HEADER)
    return header.split(", ") if header else []


@pytest.mark.parametrize(
    ("kind", "body", "policy"),
    [
        (ollama._types.ChatRequest, OllamaChatBody, POLICIES[CHAT]),
        (ollama._types.GenerateRequest, GenerateBody, POLICIES[GENERATE]),
        (ollama._types.EmbedRequest, EmbedBody, EMBED),
        (ollama._types.EmbeddingsRequest, EmbedOneBody, EMBED),
        (ollama._types.ShowRequest, ShowBody, SHOW),
        (ollama.Options, Options, OPTIONS),
    ],
)
def test_every_parameter_of_the_client_has_its_treatment(kind, body, policy):
    treated = {*body.model_fields, *names_of(policy)}
    assert set(kind.model_fields) <= treated
    assert len(names_of(policy)) == len(policy.refused) + len(policy.hints) + len(policy.synonyms)
    assert not set(body.model_fields) & names_of(policy)


@pytest.mark.parametrize(("path", "name"), [(path, name) for path, table in TABLES.items() for name in table.hints])
def test_a_hint_has_no_effect_and_is_named(http, path, name):
    assert named(http.post(path, json={**BODIES[path], name: {"some": "value"}})) == [name]
    for neutral in TABLES[path].hints[name].neutral:
        assert named(http.post(path, json={**BODIES[path], name: neutral})) == []


@pytest.mark.parametrize("name", OPTIONS.hints)
def test_an_option_without_effect_is_named(http, harness, name):
    for options in ({name: 0.77}, {}):
        response = http.post("/api/chat", json={**BODIES["/api/chat"], "options": options})
        assert named(response) == [f"options.{each}" for each in options]
    hinted, plain = harness.triton.asked
    assert (hinted.prompt_ids, hinted.sampling) == (plain.prompt_ids, plain.sampling)


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_what_is_unknown_is_ignored_and_named_or_refused_where_the_site_wants_it(http, make_harness, path):
    changes = [{"of_another_server": 1}, {"options": {"of_another_server": 1}}]
    for change, name in zip(changes, ["of_another_server", "options.of_another_server"], strict=True):
        assert named(http.post(path, json={**BODIES[path], **change})) == [name]
    strict = make_harness(unknown_parameters="refuse")
    for change in changes:
        response = httpx.post(f"{strict.url}{path}", json={**BODIES[path], **change})
        assert response.status_code == 400
        assert "of_another_server" in response.json()["error"]


def test_fields_inside_of_messages_are_named(http):
    call = {"type": "function", "function": {"name": "f", "arguments": {}, "index": 0}, "weight": 1}
    turns = [*HELLO, {"role": "assistant", "tool_calls": [call], "id": "m"}, {"role": "tool", "content": "a"}, *HELLO]
    response = http.post("/api/chat", json={"model": "tiny-talker", "messages": turns})
    assert named(response) == [
        "messages[].tool_calls[].function.index",
        "messages[].tool_calls[].weight",
        "messages[].id",
    ]


@pytest.mark.parametrize(
    ("path", "name"),
    [(path, name) for path, table in TABLES.items() for name in table.refused],
)
def test_what_would_change_the_answer_is_refused_with_its_reason(http, harness, path, name):
    assert name in refused(http, harness, path, {name: [1]})
    for neutral in TABLES[path].refused[name].neutral:
        assert http.post(path, json={**BODIES[path], name: neutral}).status_code == 200


@pytest.mark.parametrize(
    ("path", "changes", "words"),
    [
        ("/api/chat", {"options": {"temperature": -1}}, "options: temperature"),
        ("/api/chat", {"options": {"temperature": "hot"}}, "options: temperature"),
        ("/api/chat", {"options": {"num_predict": 1.5}}, "options: num_predict"),
        ("/api/chat", {"options": {"num_predict": 10**400}}, "options: num_predict"),
        ("/api/chat", {"options": {"repeat_penalty": 1.1, "repetition_penalty": 1.2}}, "options: repeat_penalty"),
        ("/api/chat", {"options": {"stop": [""]}}, "options: stop[0]"),
        ("/api/chat", {"options": {"num_ctx": 3}}, "num_ctx"),
        ("/api/chat", {"options": 5}, "options"),
        ("/api/chat", {"format": "yaml"}, "format"),
        ("/api/chat", {"format": 5}, "format"),
        ("/api/chat", {"think": "sometimes"}, "think"),
        ("/api/chat", {"keep_alive": "soon"}, "keep_alive"),
        ("/api/chat", {"keep_alive": True}, "keep_alive"),
        ("/api/chat", {"stream": "yes"}, "stream"),
        ("/api/chat", {"top_logprobs": 1}, "top_logprobs"),
        ("/api/chat", {"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ("/api/chat", {"messages": [{"role": "robot", "content": "a"}]}, "messages[0].role"),
        ("/api/chat", {"messages": [{**HELLO[0], "images": ["aGk="]}]}, "messages[0].images: all input is text"),
        ("/api/chat", {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}]}, "arguments"),
        ("/api/chat", {"tools": [{"type": "web_search"}]}, "tools[0]"),
        ("/api/chat", {"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools is not supported"),
        ("/api/chat", {"model": "tiny-base"}, "base model"),
        ("/api/generate", {"images": ["aGk="]}, "all input is text"),
        ("/api/generate", {"context": [1, 2]}, "/api/chat"),
        ("/api/generate", {"prompt": 5}, "prompt"),
        ("/api/show", {"model": None}, "model"),
    ],
)
def test_a_wrong_value_is_named(http, harness, path, changes, words):
    assert words in refused(http, harness, path, changes)


@pytest.mark.parametrize("path", BODIES)
def test_an_unknown_model_is_not_found(http, harness, path):
    assert "llama3" in refused(http, harness, path, {"model": "llama3:latest"}, status=404)


def test_errors_of_the_layers_around_have_ollamas_shape(http):
    for response in (
        http.get("/api/nothing"),
        http.get("/api/chat"),
        http.post("/api/chat", content="{", headers={"content-type": "application/json"}),
        http.post("/api/chat", json=BODIES["/api/chat"], headers={"content-encoding": "br"}),
        http.post("/api/chat", json=BODIES["/api/chat"], headers={"host": "evil.example"}),
        http.post("/api/chat", data={"a": "b"}),
    ):
        assert response.status_code in {400, 404, 405, 415, 421}
        assert response.json().keys() == {"error"}


def test_a_path_that_the_box_does_not_have_names_the_page_with_those_that_it_has(http):
    response = http.post("/api/me")
    assert (response.status_code, "docs/ollama.md" in response.json()["error"]) == (404, True)


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.pull("llama3"),
        lambda client: list(client.pull("llama3", stream=True)),
        lambda client: client.push("llama3"),
        lambda client: client.create("mine", from_=MODEL),
        lambda client: client.copy(MODEL, "mine"),
        lambda client: client.delete(MODEL),
        lambda client: client.create_blob(__file__),
    ],
    ids=["pull", "pull as a stream", "push", "create", "copy", "delete", "blob"],
)
def test_models_are_installed_on_the_box_only(llama, call):
    with pytest.raises(ollama.ResponseError, match="appliance model pull") as caught:
        call(llama)
    assert caught.value.status_code == 403


def test_a_blob_is_not_there(http):
    assert http.head("/api/blobs/sha256:00").status_code == 403
