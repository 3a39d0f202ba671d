"""The kinds of tools that Codex and OpenAI's clients offer: functions in namespaces, custom tools, tools left out."""

from __future__ import annotations

import json

import openai
import pytest

from tests.gateway.fake_triton import words
from tests.gateway.tiny_artefact import tiny_tokenizer

TALKER = "tiny-talker"
LOOK_UP = {"type": "function", "name": "look_up", "parameters": {"type": "object", "properties": {}}}
PATCH = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Change files",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"},
}
TOOLS = [
    LOOK_UP,
    PATCH,
    {"type": "namespace", "name": "crm", "description": "Customers", "tools": [LOOK_UP, {**PATCH, "name": "note"}]},
    {"type": "web_search", "filters": {"allowed_domains": ["example.com"]}},
    {"type": "tool_search"},
]


def prompt(harness) -> str:
    return str(tiny_tokenizer(more=True).decode(harness.triton.asked[-1].prompt_ids, skip_special_tokens=False))


def call(name: str, arguments: dict[str, str]) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def answer(client, harness, *texts: str, **more):
    harness.triton.script = words("<think>\n</think>\n\n", *texts)
    return client.responses.create(model=TALKER, input="a", tools=TOOLS, **more)


def test_tools_that_the_box_does_not_have_are_left_out_and_named(client, harness):
    raw = client.responses.with_raw_response.create(model=TALKER, input="a", tools=[*TOOLS[:-2], *TOOLS[-2:] * 2])
    ignored = raw.headers["appliance-ignored-parameters"].split(", ")
    assert sorted(name for name in ignored if "search" in name) == ["tools[].tool_search", "tools[].web_search"]
    assert "web_search" not in prompt(harness)
    assert [tool.type for tool in raw.parse().tools][: len(TOOLS)] == [tool["type"] for tool in TOOLS]


@pytest.mark.parametrize("kind", ["file_search", "code_interpreter", "mcp", "computer_use_preview"])
def test_other_tools_that_the_box_does_not_have_are_refused(client, kind):
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=TALKER, input="a", tools=[{"type": kind}])
    assert caught.value.param.startswith("tools[0]")


def test_a_function_of_a_namespace_is_called_by_its_own_name(client, harness):
    (item,) = [one for one in answer(client, harness, call("crm__look_up", {})).output if one.type == "function_call"]
    assert (item.namespace, item.name, item.arguments) == ("crm", "look_up", "{}")
    assert "Customers" in prompt(harness)
    (item,) = [one for one in answer(client, harness, call("look_up", {})).output if one.type == "function_call"]
    assert (item.namespace, item.name) == (None, "look_up")


def test_a_custom_tool_gets_a_text(client, harness):
    text = 'one "line"\nand é'
    (item,) = [
        one
        for one in answer(client, harness, call("apply_patch", {"input": text})).output
        if one.type == "custom_tool_call"
    ]
    assert (item.name, item.input, item.namespace) == ("apply_patch", text, None)
    assert "start: /.+/" in prompt(harness)


def test_the_events_of_a_custom_tool_have_its_text(client, harness):
    texts = call("crm__note", {"input": "a text"})
    events = list(answer(client, harness, *(texts[at : at + 7] for at in range(0, len(texts), 7)), stream=True))
    assert "".join(one.delta for one in events if one.type == "response.custom_tool_call_input.delta") == "a text"
    (done,) = [one for one in events if one.type == "response.custom_tool_call_input.done"]
    assert done.input == "a text"
    assert not [one for one in events if one.type.startswith("response.function_call")]
    item = events[-1].response.output[-1]
    assert (item.type, item.namespace, item.name, item.input) == ("custom_tool_call", "crm", "note", "a text")


def test_the_next_turn_has_the_same_prompt_by_id_and_by_items(client, harness):
    first = answer(client, harness, call("apply_patch", {"input": "x"}), call("crm__look_up", {}))
    calls = [one for one in first.output if one.type.endswith("call")]
    outputs = [
        {"type": "custom_tool_call_output", "call_id": calls[0].call_id, "output": "done"},
        {"type": "function_call_output", "call_id": calls[1].call_id, "output": "found"},
    ]
    client.responses.create(model=TALKER, input=outputs, tools=TOOLS, previous_response_id=first.id)
    by_id = prompt(harness)
    sent = [one.to_dict() for one in first.output]
    client.responses.create(model=TALKER, input=[{"role": "user", "content": "a"}, *sent, *outputs], tools=TOOLS)
    assert prompt(harness) == by_id
    assert "crm__look_up" in by_id.partition("assistant")[2]


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ({"type": "custom", "name": "apply_patch"}, {"apply_patch"}),
        ({"type": "function", "name": "crm__look_up"}, {"crm__look_up"}),
        ({"type": "function", "name": "look_up"}, {"look_up"}),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "look_up"}, {"type": "web_search"}],
            },
            {"look_up"},
        ),
    ],
)
def test_a_choice_restricts_the_calls(client, harness, choice, names):
    answer(client, harness, tool_choice=choice)
    grammar = harness.triton.asked[-1].sampling["structured_outputs"]["grammar"]
    assert {name for name in ("apply_patch", "crm__look_up", "crm__note") if name in grammar} == names - {"look_up"}
    assert "look_up" in grammar or names == {"apply_patch"}


def test_a_choice_of_a_tool_that_is_not_offered_is_refused(client, harness):
    with pytest.raises(openai.BadRequestError) as caught:
        answer(client, harness, tool_choice={"type": "function", "name": "other"})
    assert caught.value.param == "tool_choice"


def test_a_choice_means_the_tool_with_exactly_this_name_before_one_in_a_namespace(client, harness):
    group = {"type": "namespace", "name": "crm", "tools": [LOOK_UP]}
    choice = {"type": "function", "name": "look_up"}
    client.responses.create(model=TALKER, input="a", tools=[group, LOOK_UP], tool_choice=choice)
    assert "crm__look_up" not in harness.triton.asked[-1].sampling["structured_outputs"]["grammar"]


def test_a_choice_that_requires_a_call_of_no_tool_is_refused(client, harness):
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]}
    with pytest.raises(openai.BadRequestError) as caught:
        answer(client, harness, tool_choice=choice)
    assert caught.value.param == "tool_choice"


def test_chat_allows_some_of_the_tools(client, harness):
    tools = [{"type": "function", "function": {"name": name}} for name in ("one", "two", "three")]
    allowed = [{"type": "function", "function": {"name": name}} for name in ("one", "two")]
    client.chat.completions.create(
        model=TALKER,
        messages=[{"role": "user", "content": "a"}],
        tools=tools,
        tool_choice={"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": allowed}},
    )
    grammar = harness.triton.asked[-1].sampling["structured_outputs"]["grammar"]
    assert [name for name in ("one", "two", "three") if f'\\"{name}\\"' in grammar] == ["one", "two"]
    assert "three" in prompt(harness)


def test_too_many_tools_in_namespaces_are_refused(client):
    group = [{**LOOK_UP, "name": f"f{number}"} for number in range(100)]
    tools = [{"type": "namespace", "name": name, "tools": group} for name in ("a", "b")]
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=TALKER, input="a", tools=tools)
    assert caught.value.param == "tools"


def test_a_reference_stands_for_a_stored_item(client, harness):
    first = answer(client, harness, "Well.", call("apply_patch", {"input": "x"}), call("crm__look_up", {}))
    outputs = [
        {"type": "custom_tool_call_output", "call_id": first.output[-2].call_id, "output": "done"},
        {"type": "function_call_output", "call_id": first.output[-1].call_id, "output": "found"},
    ]
    question = {"role": "user", "content": "a"}
    copies = [one.to_dict() for one in first.output]
    references = [{"type": "item_reference", "id": one.id} for one in first.output]
    prompts = []
    for items in (copies, references):
        second = client.responses.create(model=TALKER, input=[question, *items, *outputs], tools=TOOLS)
        prompts.append(prompt(harness))
        listed = client.responses.input_items.list(second.id, order="asc")
        assert [one.id for one in listed.data][1:-2] == [one.id for one in first.output]
    assert prompts[0] == prompts[1]


def test_a_reference_to_nothing_or_a_second_reference_is_refused(client, harness):
    item = answer(client, harness, "Well.").output[-1].id
    for ids in (["msg_none"], [item, item]):
        references = [{"type": "item_reference", "id": one} for one in ids]
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(model=TALKER, input=references)
        assert caught.value.param == f"input[{len(ids) - 1}].id"
