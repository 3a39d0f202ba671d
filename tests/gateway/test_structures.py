"""What the text of an answer must match, by the names of vLLM and llama.cpp: passed on to the engine, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.fake_triton import refusal

MODEL, THINKS = "tiny-instruct", "tiny-talker"
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}
PATHS = {
    "/v1/completions": {"prompt": "a"},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "a"}]},
}
TOOL = {"type": "function", "function": {"name": "f"}}
GBNF = 'root ::= "yes" | "no"'


def ask(http, path, **body):
    return http.post(path, json={"model": MODEL, **PATHS[path], **body})


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"structured_outputs": {"regex": "[ab]+"}}, {"regex": "[ab]+"}),
        ({"structured_outputs": {"choice": ["yes", "no"]}}, {"choice": ["yes", "no"]}),
        ({"structured_outputs": {"grammar": GBNF, "regex": None}}, {"grammar": GBNF}),
        ({"structured_outputs": {"json_object": True, "disable_fallback": True}}, {"json_object": True}),
        ({"guided_regex": "a+"}, {"regex": "a+"}),
        ({"guided_choice": ["a"]}, {"choice": ["a"]}),
        ({"guided_grammar": GBNF}, {"grammar": GBNF}),
        ({"grammar": GBNF}, {"grammar": GBNF}),
    ],
)
def test_each_name_becomes_the_engines_own(http, harness, path, body, wanted):
    ask(http, path, **body).raise_for_status()
    sent = harness.triton.asked[0].sampling["structured_outputs"]
    assert sent == wanted


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "body",
    [
        {"structured_outputs": {"json": SCHEMA}},
        {"structured_outputs": {"json": '{"type": "object", "properties": {"a": {"type": "integer"}}}'}},
        {"guided_json": SCHEMA},
        {"json_schema": SCHEMA},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}},
    ],
)
def test_each_name_of_a_schema_becomes_the_engines_own(http, harness, path, body):
    ask(http, path, **body).raise_for_status()
    assert harness.triton.asked[0].sampling["structured_outputs"]["json"]["properties"]["a"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", [{"grammar": ""}, {"response_format": {"type": "text"}}, {"json_schema": None}])
def test_what_asks_for_nothing_restricts_nothing(http, harness, path, body):
    ask(http, path, **body).raise_for_status()
    assert "structured_outputs" not in harness.triton.asked[0].sampling


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"structured_outputs": {}}, "structured_outputs"),
        ({"structured_outputs": {"regex": "a", "choice": ["b"]}}, "structured_outputs"),
        ({"structured_outputs": {"json": "{"}}, "structured_outputs.json"),
        ({"structured_outputs": {"json": "5"}}, "structured_outputs.json"),
        ({"structured_outputs": {"json": 5}}, "structured_outputs.json"),
        ({"structured_outputs": {"choice": []}}, "structured_outputs.choice"),
        ({"structured_outputs": {"json_object": False}}, "structured_outputs.json_object"),
        ({"structured_outputs": {"structural_tag": "{}"}}, "structured_outputs.structural_tag"),
        ({"guided_json": "no"}, "guided_json"),
        ({"guided_regex": "a", "grammar": GBNF}, "grammar"),
        ({"structured_outputs": {"regex": "a"}, "guided_regex": "a"}, "guided_regex"),
        ({"response_format": {"type": "json_object"}, "json_schema": SCHEMA}, "json_schema"),
    ],
)
def test_what_contradicts_itself_is_refused_by_name(http, harness, path, body, param):
    answer = ask(http, path, **body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert harness.triton.asked == []


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", ["guided_json", "json_schema", "structured_outputs.json"])
def test_a_long_schema_in_a_text_is_refused_before_it_is_parsed(http, harness, path, name):
    # The limits on the values of a body do not count what is inside a text.
    schema = '{"enum":[' + "1," * 70_000 + "1]}"
    body = {name: schema} if "." not in name else {"structured_outputs": {"json": schema}}
    error = ask(http, path, **body).json()["error"]
    assert error["param"] == name
    assert "131072" in error["message"]
    assert harness.triton.asked == []


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("body", "name"), [({"grammar": "a"}, "grammar"), ({"structured_outputs": {"regex": "("}}, "structured_outputs")]
)
def test_the_engines_refusal_has_the_clients_name(http, harness, path, body, name):
    harness.triton.script = refusal("RequestError[structured_outputs]: structured_outputs cannot be enforced: no")
    error = ask(http, path, **body).json()["error"]
    assert error["param"] == name
    assert error["message"].startswith(name)


@pytest.mark.parametrize(
    "body",
    [
        {"tools": [TOOL], "tool_choice": "required", "guided_regex": "a"},
        {"tools": [{**TOOL, "function": {**TOOL["function"], "strict": True}}], "guided_regex": "a"},
        {"guided_regex": "a"},
    ],
)
def test_a_regex_with_tools_or_thoughts_is_refused_by_name(http, body):
    answer = ask(http, "/v1/chat/completions", model=THINKS, **body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "guided_regex")


def test_excluded_tokens_are_passed_on(http, harness):
    body = {"allowed_token_ids": [1, 2], "bad_words": ["no", "never"]}
    for path in PATHS:
        ask(http, path, **body).raise_for_status()
        assert {name: harness.triton.asked[-1].sampling[name] for name in body} == body


@pytest.mark.parametrize(
    ("name", "value"), [("allowed_token_ids", []), ("allowed_token_ids", [-1]), ("bad_words", [""]), ("bad_words", "a")]
)
def test_excluded_tokens_out_of_range_are_refused_by_name(http, name, value):
    for path in PATHS:
        answer = ask(http, path, **{name: value})
        assert answer.status_code == 400
        assert answer.json()["error"]["param"].startswith(name)
