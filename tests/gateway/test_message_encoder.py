"""The events and documents of Anthropic's answers, from parts."""

from __future__ import annotations

import json

import pytest

from appliance.errors import EngineError
from appliance.gateway.anthropic.message_encoder import MessageEncoder
from appliance.gateway.chat.parts import Piece, Reasoning, Text, ToolArguments, ToolCall
from appliance.inference.events import Usage


def form(**changes):
    return MessageEncoder("msg_1", "req_1", "m", **{"prompt_tokens": 7, **changes})


def events(data: bytes):
    found = []
    for block in data.decode().split("\n\n")[:-1]:
        name, line = block.split("\n")
        event = json.loads(line.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        found.append(event)
    return found


PIECES = [
    Piece((Reasoning("Let me "),)),
    Piece((Reasoning("see"),)),
    Piece((Text("Sure"), Text("."))),
    Piece((ToolCall(0, "call_a", "f"), ToolArguments(0, '{"x"'))),
    Piece((ToolArguments(0, ": 1}"), ToolCall(1, "call_b", "g"))),
    Piece((ToolArguments(1, "{}"),), finish_reason="tool_calls", usage=Usage(7, 3, 9)),
]


def test_a_stream_opens_and_closes_each_block_once_and_counts_at_the_end():
    one = form()
    found = events(one.head() + b"".join(one.events(piece) for piece in PIECES) + one.tail())
    assert [event["type"] for event in found[:2]] == ["message_start", "ping"]
    assert found[0]["message"]["usage"]["input_tokens"] == 7
    assert [event["type"] for event in found[-2:]] == ["message_delta", "message_stop"]
    assert found[-2]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert found[-2]["usage"] == {
        "input_tokens": 4,
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": 0,
        "output_tokens": 9,
    }
    starts = [event for event in found if event["type"] == "content_block_start"]
    stops = [event for event in found if event["type"] == "content_block_stop"]
    assert [event["content_block"]["type"] for event in starts] == ["thinking", "text", "tool_use", "tool_use"]
    assert [event["index"] for event in starts] == [event["index"] for event in stops] == [0, 1, 2, 3]
    deltas = [event["delta"] for event in found if event["type"] == "content_block_delta"]
    assert "".join(delta.get("partial_json", "") for delta in deltas) == '{"x": 1}{}'


def test_a_document_has_the_same_blocks():
    message = json.loads(form().document(PIECES))
    assert message["content"] == [
        {"type": "thinking", "thinking": "Let me see", "signature": ""},
        {"type": "text", "text": "Sure."},
        {"type": "tool_use", "id": "call_a", "name": "f", "input": {"x": 1}},
        {"type": "tool_use", "id": "call_b", "name": "g", "input": {}},
    ]
    assert message["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("finish", "stop_string", "expected"),
    [
        ("stop", None, ("end_turn", None)),
        ("stop", "END", ("stop_sequence", "END")),
        ("stop", 5, ("end_turn", None)),
        ("length", None, ("max_tokens", None)),
        ("tool_calls", None, ("tool_use", None)),
    ],
)
def test_the_stop_reason_is_the_one_that_ended_it(finish, stop_string, expected):
    pieces = [Piece((Text("a"),), finish_reason=finish, usage=Usage(1, 0, 1), stop_reason=stop_string)]
    message = json.loads(form().document(pieces))
    assert (message["stop_reason"], message["stop_sequence"]) == expected


def test_a_completion_that_filled_the_context_says_so():
    pieces = [Piece((Text("a"),), finish_reason="length", usage=Usage(1, 0, 1))]
    message = json.loads(form(length_reason="model_context_window_exceeded").document(pieces))
    assert message["stop_reason"] == "model_context_window_exceeded"


def test_arguments_that_are_no_object_are_an_error_and_not_an_empty_object():
    call = (ToolCall(0, "call_a", "f"), ToolArguments(0, '{"x": oops'))
    with pytest.raises(EngineError, match="'f'"):
        form().document([Piece(call, finish_reason="tool_calls", usage=Usage(1, 0, 1))])


def test_arguments_that_the_length_cut_are_an_empty_object():
    call = (ToolCall(0, "call_a", "f"), ToolArguments(0, '{"x": '))
    message = json.loads(form().document([Piece(call, finish_reason="length", usage=Usage(1, 0, 1))]))
    assert (message["content"][0]["input"], message["stop_reason"]) == ({}, "max_tokens")


def test_a_failure_is_an_event_in_anthropics_shape():
    (event,) = events(form().failure(EngineError("it broke")))
    assert event == {"type": "error", "error": {"type": "api_error", "message": "it broke"}, "request_id": "req_1"}
