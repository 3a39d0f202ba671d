"""How Anthropic's messages and OpenAI's response items become turns for chat templates."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.errors import RequestError
from appliance.gateway.anthropic.conversation import chat_request
from appliance.gateway.anthropic.schema import MessagesBody
from appliance.gateway.bodies import json_body as body
from appliance.gateway.openai.responses.conversation import items_of, turns_of, turns_of_output
from appliance.gateway.openai.responses.schema import ResponseBody

CALL = {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}


def anthropic(messages, **changes):
    value = {"model": "m", "max_tokens": 5, "messages": messages, **changes}
    return chat_request(body.check(MessagesBody, value))


def responses(value: Any, earlier=()):
    return turns_of(body.check(ResponseBody, {"model": "m", "input": value}).input, earlier)


def test_anthropics_blocks_become_turns():
    request = anthropic(
        [
            {"role": "user", "content": "one"},
            {"role": "user", "content": [{"type": "text", "text": "two", "cache_control": {"type": "ephemeral"}}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "abc"},
                    {"type": "text", "text": "I ask."},
                    {"type": "tool_use", "id": "call_a", "name": "f", "input": {"x": 1}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "call_a", "content": [{"type": "text", "text": "no"}]},
                    {"type": "text", "text": "go on"},
                ],
            },
        ],
        system=[{"type": "text", "text": "Be brief"}, {"type": "text", "text": "Be kind"}],
    )
    assert request.messages == [
        {"role": "system", "content": "Be brief\nBe kind"},
        {"role": "user", "content": "one\ntwo"},
        {"role": "assistant", "content": "I ask.", "reasoning_content": "hm", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_a", "content": "no"},
        {"role": "user", "content": "go on"},
    ]


def test_a_failed_tool_is_told_to_the_model():
    use = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "a", "content": "no disk", "is_error": True}
    turns = anthropic([{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]).messages
    assert turns[-1]["content"] == "Error: no disk"


@pytest.mark.parametrize(
    ("choice", "mode", "name", "parallel"),
    [
        (None, "auto", "", True),
        ({"type": "auto"}, "auto", "", True),
        ({"type": "auto", "disable_parallel_tool_use": True}, "auto", "", False),
        ({"type": "any"}, "required", "", True),
        ({"type": "tool", "name": "f", "disable_parallel_tool_use": True}, "named", "f", False),
        ({"type": "none"}, "none", "", True),
    ],
)
def test_anthropics_tool_choices(choice, mode, name, parallel):
    tools = [{"name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": True}]
    request = anthropic([{"role": "user", "content": "a"}], tools=tools, tool_choice=choice)
    assert (request.tool_choice.mode, request.tool_choice.name, request.parallel_tool_calls) == (mode, name, parallel)
    (tool,) = request.tools
    assert (tool.name, tool.description, tool.parameters, tool.strict) == ("f", "d", {"type": "object"}, True)


@pytest.mark.parametrize(
    ("thinking", "expected"),
    [
        (None, None),
        ({"type": "enabled", "budget_tokens": 2000}, True),
        ({"type": "adaptive"}, True),
        ({"type": "disabled"}, False),
    ],
)
def test_anthropics_thinking_is_a_switch(thinking, expected):
    assert anthropic([{"role": "user", "content": "a"}], thinking=thinking).thinking is expected


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([{"role": "assistant", "content": "Sure, "}], "messages"),
        (
            [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "x"}]}],
            "messages[0].content[0].tool_use_id",
        ),
        ([{"role": "user", "content": [{"type": "image", "source": {}}]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{"type": "text", "text": 5}]}], "messages[0].content[0].text"),
        ([{"role": "user", "content": [{"type": "text", "text": "a", "x": 1}]}], "messages[0].content[0].x"),
        ([{"role": "robot", "content": "a"}], "messages[0]"),
        ([{"role": "assistant", "content": [{"type": "tool_use", "id": "a"}]}], "messages[0].content[0].name"),
        ([{"content": "a"}], "messages[0]"),
        (["a"], "messages[0]"),
    ],
)
def test_a_wrong_message_is_named(messages, param):
    with pytest.raises(RequestError) as caught:
        anthropic(messages)
    assert caught.value.param == param


def test_a_choice_without_tools_is_refused():
    with pytest.raises(RequestError) as caught:
        anthropic([{"role": "user", "content": "a"}], tool_choice={"type": "any"})
    assert caught.value.param == "tool_choice"


ITEMS = [
    {"role": "developer", "content": "Be brief"},
    {"role": "user", "content": [{"type": "input_text", "text": "one"}, {"type": "input_text", "text": "two"}]},
    {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
    {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "I ask."}]},
    {"type": "function_call", "call_id": "call_a", "name": "f", "arguments": '{"x": 1}'},
    {"type": "function_call", "call_id": "call_b", "name": "g", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "call_a", "output": "1"},
    {"type": "function_call_output", "call_id": "call_b", "output": [{"type": "input_text", "text": "2"}]},
    {"role": "assistant", "content": "Done."},
    {"role": "assistant", "content": "Really."},
]
TURNS = [
    {"role": "system", "content": "Be brief"},
    {"role": "user", "content": "one\ntwo"},
    {
        "role": "assistant",
        "content": "I ask.",
        "reasoning_content": "hm",
        "tool_calls": [
            CALL,
            {"id": "call_b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    },
    {"role": "tool", "tool_call_id": "call_a", "content": "1"},
    {"role": "tool", "tool_call_id": "call_b", "content": "2"},
    {"role": "assistant", "content": "Done."},
    {"role": "assistant", "content": "Really."},
]


def test_openais_items_become_turns():
    assert responses(ITEMS) == TURNS
    assert responses("Hello") == [{"role": "user", "content": "Hello"}]


def test_earlier_turns_stay_as_they_are_and_their_calls_are_known():
    earlier = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "", "tool_calls": [CALL]}]
    turns = responses([{"type": "function_call_output", "call_id": "call_a", "output": "1"}], earlier)
    assert turns == [*earlier, {"role": "tool", "tool_call_id": "call_a", "content": "1"}]
    assert len(earlier) == 2


def test_the_items_of_an_answer_are_the_turn_that_they_would_be_as_input():
    output = [
        {"id": "rs_1", "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "I ask.", "annotations": [], "logprobs": []}],
        },
        {"id": "fc_1", "type": "function_call", "call_id": "call_a", "name": "f", "arguments": "{}"},
    ]
    assert turns_of_output(output) == responses(output)


def test_listed_items_have_ids_and_types():
    items = items_of(body.check(ResponseBody, {"model": "m", "input": ITEMS}).input)
    assert [item["type"] for item in items[:3]] == ["message", "message", "reasoning"]
    assert items[2]["id"] == "rs_1"
    assert all(item["id"] and item["status"] == "completed" for item in items)
    assert items[0]["content"] == [{"type": "input_text", "text": "Be brief"}]
    assert (items[-1]["role"], items[-1]["content"]) == ("assistant", [{"type": "output_text", "text": "Really."}])


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ([], "input"),
        ("", "input"),
        ([{"role": "user"}], "input[0].content"),
        ([{"role": "tool", "content": "a"}], "input[0].role"),
        ([{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}], "input[0].content[0]"),
        ([{"type": "computer_call", "id": "msg_1"}], "input[0]"),
        ([{"type": "web_search_call", "id": "a"}], "input[0]"),
        ([{"type": "function_call", "name": "f", "arguments": "{}"}], "input[0].call_id"),
        ([{"type": "function_call_output", "call_id": "a", "output": "1"}], "input[0].call_id"),
        ([{"role": "user", "content": "a", "weight": 1}], "input[0].weight"),
    ],
)
def test_a_wrong_item_is_named(value, param):
    with pytest.raises(RequestError) as caught:
        responses(value)
    assert caught.value.param == param
