"""Checks finished answers against schemas that the grammar does not enforce completely."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from appliance.gateway.chat.parts import Piece, Text, ToolArguments, ToolCall
from appliance.gateway.chat.reader import Reader
from appliance.gateway.triton.completion import Delta
from appliance.json_schema import is_broken


class Unheld:
    """The schema keywords that the answers to one request may break, and the schemas that they broke.

    Attributes:
        places: paths of the keywords: "response_format#/properties/a/uniqueItems"; empty if all are enforced.
        broken: names of the formats and tools whose schemas a finished answer certainly broke.
        retries: how often the model was asked again, because an answer broke a schema.
    """

    def __init__(self, places: tuple[str, ...] = (), schemas: Mapping[str, Any] | None = None, text: str = "") -> None:
        """`schemas` maps names to the client's schemas; `text` names the schema of the answer's text."""
        self.places = places
        self.broken: list[str] = []
        self.retries = 0
        self._schemas = schemas or {}
        self._text = text

    def anew(self) -> Unheld:
        """The same keywords, for another answer."""
        return Unheld(self.places, self._schemas, self._text)

    def check(self, called: str, text: str) -> None:
        """Check a finished text against the schema of this name, if there is one."""
        if called not in self._schemas or called in self.broken:
            return
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return  # an answer that was cut, or a call without a grammar
        if is_broken(self._schemas[called], value):
            self.broken.append(called)

    def check_text(self, text: str) -> None:
        """Check the text of an answer without calls."""
        self.check(self._text, text)


class CheckedReader(Reader):
    """A reader that passes complete texts and arguments to `Unheld`."""

    def __init__(self, unheld: Unheld, *how: Any, **more: Any) -> None:
        """`unheld` checks the answer; `Reader` gets the other arguments."""
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
