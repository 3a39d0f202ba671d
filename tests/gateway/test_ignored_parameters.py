"""Hints have no effect and are named; synonyms have the effect of what they stand for; sites can refuse the rest."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from appliance.gateway.anthropic import parameters as anthropic
from appliance.gateway.bodies.parameter_policy import ParameterPolicy
from appliance.gateway.openai.parameters import CHAT, COMPLETIONS, POLICIES
from appliance.gateway.openai.responses import parameters as responses

HEADER = "appliance-ignored-parameters"
MODEL = "tiny-instruct"
HELLO = [{"role": "user", "content": "Hello"}]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": MODEL, "messages": HELLO},
    "/v1/completions": {"model": MODEL, "prompt": "a"},
    "/v1/responses": {"model": MODEL, "input": "a"},
    "/v1/responses/input_tokens": {"model": MODEL, "input": "a"},
    "/v1/messages": {"model": MODEL, "max_tokens": 5, "messages": HELLO},
    "/v1/messages/count_tokens": {"model": MODEL, "messages": HELLO},
    "/v1/tokenize": {"model": MODEL, "prompt": "a"},
    "/v1/detokenize": {"model": MODEL, "tokens": [1]},
}
TABLES: dict[str, ParameterPolicy] = {
    "/v1/chat/completions": POLICIES[CHAT],
    "/v1/completions": POLICIES[COMPLETIONS],
    "/v1/responses": responses.POLICY,
    "/v1/messages": anthropic.POLICY,
}


def named(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    header = response.headers.get(HEADER)
    return header.split(", ") if header else []


@pytest.mark.parametrize(("path", "name"), [(path, name) for path, table in TABLES.items() for name in table.hints])
def test_a_hint_has_no_effect_and_is_named(http, harness, path, name):
    assert named(http.post(path, json={**BODIES[path], name: {"some": ["value"]}})) == [name]
    assert named(http.post(path, json=BODIES[path])) == []
    hinted, plain = (one for one in harness.triton.asked)
    assert (hinted.prompt_ids, hinted.sampling) == (plain.prompt_ids, plain.sampling)


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        (path, name, value)
        for path, table in TABLES.items()
        for name in table.hints
        for value in table.hints[name].neutral
    ],
)
def test_a_hint_for_what_the_box_does_anyway_is_not_named(http, path, name, value):
    assert named(http.post(path, json={**BODIES[path], name: value})) == []


@pytest.mark.parametrize("path", BODIES)
def test_a_parameter_without_a_rule_is_ignored_and_named(http, path):
    assert named(http.post(path, json={**BODIES[path], "of_another_server": False})) == ["of_another_server"]


@pytest.mark.parametrize("path", BODIES)
def test_a_site_can_refuse_parameters_without_a_rule(make_harness, path):
    harness = make_harness(unknown_parameters="refuse")
    refused = httpx.post(harness.url + path, json={**BODIES[path], "of_another_server": False})
    assert refused.status_code == 400
    assert "of_another_server" in refused.json()["error"]["message"]
    hint = next(iter(TABLES[path].hints)) if path in TABLES else None
    assert named(httpx.post(harness.url + path, json={**BODIES[path], **({hint: "x"} if hint else {})})) == [
        hint
    ] * bool(hint)


@pytest.mark.parametrize(
    ("path", "body", "names"),
    [
        (
            "/v1/chat/completions",
            {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {}}], "id": "m1"},
                    {"role": "assistant", "content": "b", "reasoning_details": [], "weight": 1, "annotations": [{}]},
                    {"role": "user", "content": "c", "id": "m2"},
                ],
                "stream": True,
                "stream_options": {"include_obfuscation": True},
            },
            [
                *("messages[].content[].cache_control", "messages[].id", "messages[].reasoning_details"),
                *("messages[].weight", "messages[].annotations", "stream_options.include_obfuscation"),
            ],
        ),
        (
            "/v1/responses",
            {
                "input": [{"role": "user", "content": [{"type": "input_text", "text": "a", "detail": "low"}]}],
                "text": {"verbosity": "low"},
                "reasoning": {"summary": "detailed"},
            },
            ["input[].content[].detail", "text.verbosity", "reasoning.summary"],
        ),
        (
            "/v1/messages",
            {
                "messages": [{"role": "user", "content": [{"type": "text", "text": "a", "citations": [{}]}]}],
                "system": [{"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}],
                "output_config": {"effort": "low"},
            },
            ["messages[].content[].citations", "system[].cache_control", "output_config.effort"],
        ),
    ],
)
def test_fields_inside_of_objects_are_named_by_their_path(http, path, body, names):
    assert named(http.post(path, json={**BODIES[path], **body})) == names


@pytest.mark.parametrize(
    ("path", "given", "name"),
    [
        ("/v1/chat/completions", {"reasoning_effort": "high"}, "reasoning_effort"),
        ("/v1/chat/completions", {"chat_template_kwargs": {"banana": 1}}, "chat_template_kwargs.banana"),
        ("/v1/responses", {"reasoning": {"effort": "high"}}, "reasoning.effort"),
        ("/v1/responses/input_tokens", {"reasoning": {"effort": "high"}}, "reasoning.effort"),
        ("/v1/messages", {"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking"),
        ("/v1/messages/count_tokens", {"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking"),
    ],
)
def test_what_this_model_does_not_have_is_named_by_answers_and_counts(http, path, given, name):
    assert name in named(http.post(path, json={**BODIES[path], **given}))


def test_an_error_names_ignored_parameters_too(http):
    response = http.post("/v1/chat/completions", json={**BODIES["/v1/chat/completions"], "model": "no", "store": True})
    assert (response.status_code, response.headers[HEADER]) == (404, "store")


def test_names_of_clients_cannot_break_the_header(http):
    names = ["a\r\nx-evil: 1", "ключ", "", "x" * 500, *(f"p{number}" for number in range(40))]
    response = http.post("/v1/completions", json={**BODIES["/v1/completions"], **dict.fromkeys(names, 1)})
    assert "x-evil" not in response.headers
    assert response.headers[HEADER].startswith('a??x-evil: 1, ????, "", ...')
    assert response.headers[HEADER].endswith(", ...")
    assert len(response.headers[HEADER]) < 1000


@pytest.mark.parametrize(
    ("path", "given", "meant"),
    [
        ("/v1/chat/completions", {"repeat_penalty": 1.3}, {"repetition_penalty": 1.3}),
        ("/v1/chat/completions", {"n_predict": 7}, {"max_tokens": 7}),
        ("/v1/chat/completions", {"num_predict": -1}, {}),
        ("/v1/chat/completions", {"format": "json"}, {"response_format": {"type": "json_object"}}),
        ("/v1/chat/completions", {"stop_sequences": ["x"]}, {"stop": ["x"]}),
        ("/v1/completions", {"max_completion_tokens": 3}, {"max_tokens": 3}),
        ("/v1/completions", {"max_new_tokens": 3, "max_tokens": 3}, {"max_tokens": 3}),
        ("/v1/responses", {"max_tokens": 3}, {"max_output_tokens": 3}),
    ],
)
def test_a_synonym_has_the_effect_of_what_it_stands_for(http, harness, path, given, meant):
    assert named(http.post(path, json={**BODIES[path], **given})) == []
    assert named(http.post(path, json={**BODIES[path], **meant})) == []
    first, second = harness.triton.asked
    assert (first.prompt_ids, first.sampling) == (second.prompt_ids, second.sampling)


@pytest.mark.parametrize(
    ("given", "is_thinking", "ignored"),
    [
        ({"think": False}, False, []),
        ({"think": "low"}, True, []),
        ({"enable_thinking": False}, False, []),
        ({"thinking": {"type": "disabled"}}, False, []),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, True, ["thinking.budget_tokens"]),
        ({"reasoning": {"effort": "none"}}, False, []),
        ({"reasoning": {"enabled": True, "max_tokens": None}}, True, []),
        ({"reasoning": {"exclude": True, "max_tokens": 9}}, True, ["reasoning.exclude", "reasoning.max_tokens"]),
    ],
)
def test_the_switches_for_thinking_of_other_servers_work(http, harness, given, is_thinking, ignored):
    body = {"model": "tiny-talker", "messages": HELLO, **given}
    assert named(http.post("/v1/chat/completions", json=body)) == ignored
    ids = harness.triton.asked[0].prompt_ids
    off = http.post(
        "/v1/chat/completions", json={"model": "tiny-talker", "messages": HELLO, "reasoning_effort": "none"}
    )
    assert off.status_code == 200
    assert (ids == harness.triton.asked[1].prompt_ids) is not is_thinking


@pytest.mark.parametrize(
    "given",
    [
        {"repeat_penalty": 1.3, "repetition_penalty": 1.2},
        {"n_predict": 7, "max_tokens": 8},
        {"n_predict": "x"},
        {"n_predict": True},
        {"think": 1},
        {"think": "banana"},
        {"thinking": {"type": "sometimes"}},
        {"thinking": {"type": ["enabled"]}},
        {"reasoning": {"effort": 5}},
        {"reasoning": {"enabled": "yes"}},
        {"format": "yaml"},
        {"num_ctx": 0},
        {"num_ctx": 3},
    ],
)
def test_a_wrong_or_contradicting_synonym_is_refused(http, harness, given):
    response = http.post("/v1/chat/completions", json={**BODIES["/v1/chat/completions"], **given})
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["param"] in given
    assert error["message"].startswith(error["param"]) or error["param"] == "num_ctx"
    assert harness.triton.asked == []


def test_num_ctx_bounds_prompt_plus_answer(http, harness):
    for path in ("/v1/chat/completions", "/v1/completions"):
        http.post(path, json={**BODIES[path], "num_ctx": 60, "max_tokens": 50})
        asked = harness.triton.asked.pop()
        assert asked.sampling["max_tokens"] == min(50, 60 - len(asked.prompt_ids))


def test_reasoning_is_another_name_of_a_turns_thinking(http, harness):
    for name in ("reasoning", "reasoning_content"):
        turns = [*HELLO, {"role": "assistant", "content": "a", name: "hm"}, *HELLO]
        assert named(http.post("/v1/chat/completions", json={"model": "tiny-talker", "messages": turns})) == []
    first, second = harness.triton.asked
    assert first.prompt_ids == second.prompt_ids
