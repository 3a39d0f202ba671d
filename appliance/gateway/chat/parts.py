"""The parts of an answer. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.inference.events import TokenLogprob, Usage


@dataclass(frozen=True)
class Text:
    """Text for the user."""

    text: str


@dataclass(frozen=True)
class Reasoning:
    """Text that the model thinks before it answers."""

    text: str


@dataclass(frozen=True)
class ToolCall:
    """The beginning of a call.

    Attributes:
        index: its position among the calls of the answer, from 0.
        call_id: its id in the conversation; the tool's result refers to it.
        name: the tool's name.
    """

    index: int
    call_id: str
    name: str


@dataclass(frozen=True)
class ToolArguments:
    """More of a call's arguments; together they are one JSON object, if the model wrote valid JSON."""

    index: int
    text: str


Part = Text | Reasoning | ToolCall | ToolArguments


@dataclass(frozen=True)
class Piece:
    """What one delta of the model adds to the answer.

    Attributes:
        parts: in order; empty while characters are held back.
        token_ids: the tokens of the delta.
        logprobs: one entry per token if the client requested them.
        finish_reason: "stop", "length" or "tool_calls" with the last piece, else empty.
        usage: with the last piece.
        stop_reason: see Delta.
    """

    parts: tuple[Part, ...]
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: str = ""
    usage: Usage | None = None
    stop_reason: str | int | None = None


def joined(parts: list[Part]) -> tuple[Part, ...]:
    """The parts, with neighbours of the same kind merged and empty parts omitted."""
    found: list[Part] = []
    for part in parts:
        if isinstance(part, ToolCall):
            found.append(part)
            continue
        if not part.text:
            continue
        last = found[-1] if found else None
        if isinstance(part, ToolArguments):
            if isinstance(last, ToolArguments) and last.index == part.index:
                found[-1] = ToolArguments(part.index, last.text + part.text)
            else:
                found.append(part)
        elif isinstance(part, Text) and isinstance(last, Text):
            found[-1] = Text(last.text + part.text)
        elif isinstance(part, Reasoning) and isinstance(last, Reasoning):
            found[-1] = Reasoning(last.text + part.text)
        else:
            found.append(part)
    return tuple(found)
