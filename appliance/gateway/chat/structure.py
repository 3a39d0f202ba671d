"""The lowered schemas that the grammar of one answer enforces: the format's and the tools'. It writes no grammar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from appliance.gateway.chat.checked import Unheld
from appliance.gateway.chat.request import ChatRequest, Tool
from appliance.json_schema import MAX_SCHEMAS, Lowered, closed, lower

_ANY_OBJECT: Mapping[str, Any] = {"type": "object"}


class Bound:
    """The schemas for one answer."""

    def __init__(self, request: ChatRequest, tools: Sequence[Tool], *, is_forced: bool) -> None:
        """Lower the schemas.

        Args:
            request: the conversation's request.
            tools: the tools that may be called.
            is_forced: the arguments of every tool follow its schema, not only those of strict tools.

        Raises:
            RequestError: a schema is not supported; the error names its tool and path.
        """
        names = request.client_names
        self._document = (request.response_format or {}).get("json", _ANY_OBJECT)
        self._parameters = {tool.name: tool.schema for tool in tools}
        self._format_name = names.response_format
        self._format: Lowered | None = None
        self._tools: dict[str, Lowered] = {}
        self._left = MAX_SCHEMAS
        if request.response_format is not None:
            self._format = self._lower(
                self._document, request.format_is_strict, names.response_format, names.response_format
            )
        for tool in tools:
            if is_forced or tool.strict:
                parameters, whose = self._parameters[tool.name], f"the tool {tool.name!r}"
                self._tools[tool.name] = self._lower(parameters, tool.strict, names.tools, whose)

    def _lower(self, document: Any, is_strict: bool, param: str, whose: str) -> Lowered:
        found = lower(document, is_strict=is_strict, param=param, whose=whose, max_schemas=self._left)
        self._left -= found.size
        return replace(found, schema=closed(found.schema))

    @property
    def format(self) -> Mapping[str, Any] | None:
        """The lowered schema of the answer's text; None if the text is free."""
        return None if self._format is None else self._format.schema

    @property
    def tools(self) -> dict[str, Mapping[str, Any]]:
        """The lowered schemas of arguments, by tool; other tools have free arguments."""
        return {name: lowered.schema for name, lowered in self._tools.items()}

    def unheld(self, of_calls: Sequence[str] = ()) -> Unheld:
        """The keywords that the answer may break; `of_calls` are paths that the format of calls cannot enforce."""
        of_format = self._format.unheld if self._format is not None else ()
        of_tools = [f"{name}{at}" for name, lowered in self._tools.items() for at in lowered.unheld]
        schemas = {name: self._parameters[name] for name in self._tools}
        return Unheld(
            (*(f"{self._format_name}{at}" for at in of_format), *of_tools, *of_calls),
            {**schemas, self._format_name: self._document},
            self._format_name,
        )
