"""The events and documents of OpenAI's responses, from parts."""

from __future__ import annotations

import json

import pytest

from appliance.errors import EngineError
from appliance.gateway.chat.parts import Piece, Reasoning, Text, ToolArguments, ToolCall
from appliance.gateway.chat.request import Tool
from appliance.gateway.openai.responses.encoder import ResponseEncoder
from appliance.gateway.openai.responses.offered import OfferedTool
from appliance.inference.events import TokenLogprob, Usage
from appliance.token_bytes import TokenBytes
from tests.gateway.tiny_artefact import tiny_tokenizer

PIECES = [
    Piece((Reasoning("Let me "),), (1, 2)),
    Piece((Reasoning("see"),), (3,)),
    Piece((Text("Sure"),), (4,)),
    Piece((ToolCall(0, "call_a", "f"), ToolArguments(0, '{"x"')), (5,)),
    Piece((ToolArguments(0, ": 1}"), ToolCall(1, "call_b", "g"), ToolArguments(1, "{}")), (6,)),
    Piece((), finish_reason="tool_calls", usage=Usage(7, 3, 9, 0.125, 0.125, 0.25)),
]


def form(kept=None, **changes):
    def keep(fields, document):
        if kept is not None:
            kept.append((fields, document))

    return ResponseEncoder(
        "resp_1",
        5,
        {"model": "m"},
        **{
            "alternatives": None,
            "offered": [OfferedTool(Tool("f"), "f"), OfferedTool(Tool("g"), "g")],
            "tokens": TokenBytes.of_library(tiny_tokenizer()),
            "count_tokens": len,
            "keep": keep,
            **changes,
        },
    )


def events(data: bytes):
    found = []
    for block in data.decode().split("\n\n")[:-1]:
        name, line = block.split("\n")
        event = json.loads(line.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        found.append(event)
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    return found


def streamed(one, pieces):
    return events(one.head() + b"".join(one.events(piece) for piece in pieces) + one.tail())


def test_the_events_of_an_answer_with_thoughts_text_and_calls():
    found = streamed(form(), PIECES)
    assert [event["type"].removeprefix("response.") for event in found] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    added = [event for event in found if event["type"] == "response.output_item.added"]
    done = [event for event in found if event["type"] == "response.output_item.done"]
    assert [event["output_index"] for event in added] == [event["output_index"] for event in done] == [0, 1, 2, 3]
    assert [event["item"]["id"] for event in added] == [event["item"]["id"] for event in done]
    assert found[-1]["response"]["output"] == [event["item"] for event in done]


def without_ids(items):
    return [{key: value for key, value in item.items() if key != "id"} for item in items]


def test_the_document_has_the_items_of_the_stream_and_both_are_kept():
    kept = []
    document = form(kept).document(PIECES)
    whole = json.loads(document)
    last = streamed(form(kept), PIECES)[-1]["response"]
    assert without_ids(whole["output"]) == without_ids(last["output"])
    assert whole["status"] == "completed"
    assert whole["usage"] == last["usage"]
    assert whole["usage"]["output_tokens_details"] == {"reasoning_tokens": 3}
    assert whole["usage"]["input_tokens_details"]["cached_tokens"] == 3
    assert whole["usage"]["total_time"] == 0.5
    assert kept[0] == (whole, document)
    assert json.loads(kept[1][1]) == last


def test_thoughts_in_a_piece_with_other_parts_are_counted_by_their_text():
    pieces = [Piece((Reasoning("abc"), Text("d")), (1, 2, 3, 4), (), "stop", Usage(1, 0, 4))]
    assert json.loads(form().document(pieces))["usage"]["output_tokens_details"] == {"reasoning_tokens": 3}


def test_an_answer_cut_by_its_length_is_incomplete_and_so_is_its_last_item():
    pieces = [Piece((Text("a"),)), Piece((), finish_reason="length", usage=Usage(1, 0, 1))]
    last = streamed(form(), pieces)[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert last["response"]["output"][0]["status"] == "incomplete"
    assert last["response"]["completed_at"] is None


def test_a_failure_ends_the_stream_and_keeps_nothing():
    kept = []
    one = form(kept)
    found = events(one.head() + one.events(PIECES[2]) + one.failure(EngineError("it broke")))
    kinds = [event["type"] for event in found]
    assert kinds.index("error") < kinds.index("response.failed") == len(kinds) - 1
    assert found[-1]["response"]["error"] == {"code": "server_error", "message": "it broke"}
    assert found[-1]["response"]["output"][0]["content"][0]["text"] == "Sure"
    assert kept == []


@pytest.mark.parametrize("stream", [False, True])
def test_logprobs_stand_at_the_text(stream):
    tokens = (TokenLogprob(72, -0.5, ((72, -0.5), (73, -1.0))), TokenLogprob(74, -2.0, ((72, -0.1), (74, -2.0))))
    pieces = [
        Piece((Text("ab"),), (72,), tokens[:1]),
        # A token whose text is held back.
        Piece((), (74,), tokens[1:]),
        Piece((), finish_reason="stop", usage=Usage(1, 0, 2)),
    ]
    one = form(alternatives=1)
    whole = streamed(one, pieces)[-1]["response"] if stream else json.loads(one.document(pieces))
    logprobs = whole["output"][0]["content"][0]["logprobs"]
    first, third = (tiny_tokenizer().decode([number]) for number in (72, 74))
    assert [(token["token"], token["logprob"]) for token in logprobs] == [(first, -0.5), (third, -2.0)]
    assert [[top["token"] for top in token["top_logprobs"]] for token in logprobs] == [[first], [first]]
