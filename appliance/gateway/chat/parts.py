"""What an answer is made of, piece by piece. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.inference.events import TokenLogprob, Usage


@dataclass(frozen=True)
class Text:
    """Words for the user."""

    text: str


@dataclass(frozen=True)
class Reasoning:
    """Words that the model thinks before it answers."""

    text: str


@dataclass(frozen=True)
class ToolCall:
    """A call begins.

    Attributes:
        index: its place among the calls of the answer, from 0.
        call_id: its name in the conversation; the tool's result refers to it.
        name: the tool's.
    """

    index: int
    call_id: str
    name: str


@dataclass(frozen=True)
class ToolArguments:
    """More of a call's arguments: all of them together are one JSON object, if the model wrote one."""

    index: int
    text: str


Part = Text | Reasoning | ToolCall | ToolArguments


@dataclass(frozen=True)
class Piece:
    """What one response of the model adds to the answer.

    Attributes:
        parts: in order; empty while characters are held back.
        token_ids: the tokens that came with it.
        logprobs: one entry a token if they were asked for.
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
    """The same parts with neighbours of one kind made one, and empty ones left out."""
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
