"""Looks at finished answers beside the schemas that their grammar does not hold in full."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from appliance.gateway.chat.parts import Piece, Text, ToolArguments, ToolCall
from appliance.gateway.chat.reader import Reader
from appliance.gateway.triton.completion import Delta
from appliance.json_schema import is_broken


class Unheld:
    """What the answers to one request may break, and what they broke.

    Attributes:
        places: of keywords: "response_format#/properties/a/uniqueItems"; empty where everything is held.
        broken: names of formats and tools whose schemas a finished answer certainly broke.
    """

    def __init__(self, places: tuple[str, ...] = (), schemas: Mapping[str, Any] | None = None, text: str = "") -> None:
        """Take the client's schemas by what they are called, and which of them the answer's text has to match."""
        self.places = places
        self.broken: list[str] = []
        self._schemas = schemas or {}
        self._text = text

    def check(self, called: str, text: str) -> None:
        """Look at a finished text beside the schema that is called so, if there is one."""
        if called not in self._schemas or called in self.broken:
            return
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return  # an answer that was cut, or a call that was written freely
        if is_broken(self._schemas[called], value):
            self.broken.append(called)

    def check_text(self, text: str) -> None:
        """Look at the text of an answer without calls."""
        self.check(self._text, text)


class CheckedReader(Reader):
    """A reader that hands whole texts and arguments to `Unheld`."""

    def __init__(self, unheld: Unheld, *how: Any, **more: Any) -> None:
        """Take what a reader takes, after what looks at its answer."""
        super().__init__(*how, **more)
        self._unheld = unheld
        self._texts: list[str] = []
        self._called: list[tuple[str, list[str]]] = []

    def read(self, delta: Delta) -> Piece:
        """See Reader."""
        piece = super().read(delta)
        for part in piece.parts:
            if isinstance(part, Text):
                self._texts.append(part.text)
            elif isinstance(part, ToolCall):
                self._called.append((part.name, []))
            elif isinstance(part, ToolArguments):
                self._called[part.index][1].append(part.text)
        if piece.finish_reason in {"stop", "tool_calls"}:
            for name, arguments in self._called:
                self._unheld.check(name, "".join(arguments))
            if not self._called:
                self._unheld.check_text("".join(self._texts))
        return piece
