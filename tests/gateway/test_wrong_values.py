"""A value of a wrong type: one line names the parameter, every type that it may have, and the type that it had."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from appliance.errors import RequestError
from appliance.gateway.anthropic.schema import CountBody, MessagesBody
from appliance.gateway.bodies.json_body import check
from appliance.gateway.bodies.strict import Strict
from appliance.gateway.openai.responses.schema import ResponseBody
from appliance.gateway.openai.schema import ChatBody, CompletionBody

HELLO = [{"role": "user", "content": "Hello"}]
# Bodies with the parameters that they must have.
BODIES: dict[type[Strict], dict[str, Any]] = {
    ChatBody: {"model": "a", "messages": HELLO},
    CompletionBody: {"model": "a", "prompt": "Hello"},
    ResponseBody: {"model": "a", "input": "Hello"},
    MessagesBody: {"model": "a", "messages": HELLO, "max_tokens": 1},
    CountBody: {"model": "a", "messages": HELLO},
}
SAMPLES: dict[str, Any] = {"string": "x", "number": 0.5, "boolean": True, "array": [], "object": {}}
WORDS = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "a boolean",
    "array": "a list",
    "object": "an object",
}
# Words of the library and of Python.
FOREIGN = ("Input", "dictionary", "instance", "discriminator", "tag", "valid")


def _types(schema: dict[str, Any], whole: dict[str, Any]) -> set[str]:
    """The JSON types that a schema of a body permits."""
    if "$ref" in schema:
        return _types(whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
    parts = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if parts:
        return {one for part in parts for one in _types(part, whole)}
    return {schema["type"]}


def _cases() -> Iterator[Any]:
    for body in BODIES:
        whole = body.model_json_schema()
        for name, field in whole["properties"].items():
            yield pytest.param(body, name, _types(field, whole) - {"null"}, id=f"{body.__name__}-{name}")


def _refusal(body: type[Strict], name: str, value: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        check(body, {**BODIES[body], name: value}, unknown="ignore")
    return caught.value


@pytest.mark.parametrize(("body", "name", "types"), list(_cases()))
def test_every_type_that_a_parameter_may_have_is_in_the_line(body: type[Strict], name: str, types: set[str]):
    wrong = {given: sample for given, sample in SAMPLES.items() if given not in types}
    if "integer" in types:
        assert "fraction" in _refusal(body, name, wrong.pop("number")).message
    for given, sample in wrong.items():
        refusal = _refusal(body, name, sample)
        assert refusal.param == name
        # A quoted text is one of those that a string may be.
        permitted = {one for one in types if one != "string" or "'" not in refusal.message}
        assert not [one for one in permitted if WORDS[one] not in refusal.message], refusal.message
        assert WORDS[given] in refusal.message or "'" in refusal.message
        assert not [word for word in FOREIGN if word in refusal.message], refusal.message


@pytest.mark.parametrize(
    ("name", "value", "param", "facts"),
    [
        ("stop", [5], "stop[0]", ["a string", "a number"]),
        ("stop", ["x"] * 17, "stop", ["16"]),
        ("stop", "x" * 1025, "stop", ["1024"]),
        ("stop", "", "stop", ["1 character"]),
        ("tool_choice", {"type": "x"}, "tool_choice", ["function", "allowed_tools"]),
        ("tools", [5], "tools[0]", ["an object", "a number"]),
        ("tools", [{}], "tools[0].type", ["missing"]),
        ("response_format", {}, "response_format.type", ["missing"]),
        ("response_format", {"type": "x"}, "response_format.type", ["json_schema"]),
        ("messages", [{"role": "user", "content": 5}], "messages[0].content", ["a string", "a list of objects"]),
        ("messages", [{"role": "user", "content": [5]}], "messages[0].content[0]", ["an object", "a number"]),
        ("chat_template_kwargs", {"a": []}, "chat_template_kwargs.a", ["a string", "a number", "a boolean", "a list"]),
    ],
)
def test_a_wrong_value_inside_a_parameter_is_named_with_what_it_must_be(
    name: str, value: Any, param: str, facts: list[str]
):
    refusal = _refusal(ChatBody, name, value)
    assert refusal.param == param
    assert [fact for fact in facts if fact not in refusal.message] == [], refusal.message


def test_a_list_of_a_prompt_says_what_it_may_contain():
    assert "a list of lists of integers" in _refusal(CompletionBody, "prompt", 5).message
