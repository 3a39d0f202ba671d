"""Reads texts with a model's dialect, in any number of pieces."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from appliance.gateway.chat.dialect import Dialect
from appliance.gateway.chat.parts import Part, joined
from appliance.gateway.chat.reader import Reader
from appliance.gateway.chat.request import Tool
from appliance.gateway.chat.unmarked import UnmarkedCalls
from appliance.gateway.triton.completion import Delta

WEATHER = Tool(
    "get_weather",
    parameters={
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "exact": {"type": "boolean"},
            "notes": {"type": ["string", "null"]},
            "where": {"type": "object"},
        },
        "required": ["city"],
    },
)
TIME = Tool("get_time")
TOOLS = (WEATHER, TIME)
HERMES = Dialect("hermes")
THINKING = Dialect("hermes", thinks=True)
CODER = Dialect("qwen3-coder")


def read(
    dialect: Dialect,
    pieces: Iterable[str],
    tools: Iterable[Tool] = TOOLS,
    *,
    is_thinking: bool = False,
    unmarked: UnmarkedCalls | None = None,
    finish_reason: str = "stop",
    stop_reason: str | None = None,
) -> tuple[tuple[Part, ...], str]:
    """The parts of an answer that came in these pieces, neighbours joined; and its finish reason."""
    counter = itertools.count()
    new_id = lambda: f"call_{next(counter)}"  # noqa: E731
    reader = Reader(dialect, tools, is_thinking=is_thinking, unmarked=unmarked, new_id=new_id)
    found = [reader.read(Delta(piece)) for piece in pieces]
    found.append(reader.read(Delta("", finish_reason=finish_reason, stop_reason=stop_reason)))
    return joined([part for piece in found for part in piece.parts]), found[-1].finish_reason


def cuts(text: str) -> Iterable[list[str]]:
    """The text cut in two at every place, in three at many, and into its characters."""
    yield list(text)
    for at in range(1, len(text)):
        yield [text[:at], text[at:]]
    for first in range(1, len(text), 3):
        for second in range(first + 1, len(text), 5):
            yield [text[:first], text[first:second], text[second:]]
