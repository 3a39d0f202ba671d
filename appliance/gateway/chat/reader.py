"""Turns the model's deltas into the parts of an answer, by the model's dialect. Each answer has its own reader."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from appliance.gateway.chat.calls import Calls, NewId
from appliance.gateway.chat.dialect import PARSERS, Dialect
from appliance.gateway.chat.parts import Part, Piece, Text, ToolArguments, ToolCall, joined
from appliance.gateway.chat.request import Tool
from appliance.gateway.chat.thoughts import Thoughts
from appliance.gateway.chat.unmarked import UnmarkedCalls
from appliance.gateway.triton.completion import Delta


def new_call_id() -> str:
    """A new id of a call, in OpenAI's format."""
    return f"call_{uuid.uuid4().hex[:24]}"


class Reader:
    """Reads one answer.

    Args:
        dialect: the model's dialect.
        tools: the tools that the model may call; without tools, the marks of calls are text.
        is_thinking: the prompt ends inside a thought.
        unmarked: recognises calls without the dialect's marks; None: such calls are text.
        new_id: creates the id of a call.
    """

    def __init__(
        self,
        dialect: Dialect,
        tools: Iterable[Tool] = (),
        *,
        is_thinking: bool = False,
        unmarked: UnmarkedCalls | None = None,
        new_id: NewId = new_call_id,
    ) -> None:
        offered = {tool.name: tool for tool in tools}
        self._calls: Calls | None = PARSERS[dialect.tools](offered, new_id) if offered else None
        self._thoughts = Thoughts(is_open=is_thinking) if dialect.thinks else None
        self._unmarked = unmarked
        self._new_id = new_id

    def read(self, delta: Delta) -> Piece:
        """Return what the delta adds to the answer; the last delta also releases held-back text."""
        if self._calls is None and self._thoughts is None:
            plain = (Text(delta.text),) if delta.text else ()
            return Piece(plain, delta.token_ids, delta.logprobs, delta.finish_reason, delta.usage, delta.stop_reason)
        parts = self._feed(delta.text)
        reason = delta.finish_reason
        if reason:
            # The engine gives a stop reason only if the request's settings ended the answer, not if the model ended it.
            is_cut = reason == "length" or delta.stop_reason is not None
            parts += self._sorted(self._thoughts.end(is_cut=is_cut)) if self._thoughts is not None else []
            calls = self._end_of_unmarked(parts, is_cut=is_cut)
            parts += self._calls.end(is_cut=is_cut) if self._calls is not None else []
            if calls:
                reason = "tool_calls"
            elif reason == "stop" and self._calls is not None and self._calls.count:
                reason = "stop" if is_cut and self._calls.is_midway else "tool_calls"
        return Piece(joined(parts), delta.token_ids, delta.logprobs, reason, delta.usage, delta.stop_reason)

    def _feed(self, text: str) -> list[Part]:
        if self._thoughts is None:
            return self._answer(text)
        return self._sorted(self._thoughts.feed(text))

    def _end_of_unmarked(self, parts: list[Part], *, is_cut: bool) -> bool:
        """Add the calls without marks, or the text that was held back for them. Return whether there are calls."""
        if self._unmarked is None:
            return False
        calls, text = self._unmarked.end(is_cut=is_cut)
        for index, call in enumerate(calls):
            parts += [ToolCall(index, self._new_id(), call.name), ToolArguments(index, call.arguments)]
        parts += self._marked(text)
        return bool(calls)

    def _sorted(self, found: Iterable[Part]) -> list[Part]:
        parts: list[Part] = []
        for part in found:
            parts += self._answer(part.text) if isinstance(part, Text) else [part]
        return parts

    def _answer(self, text: str) -> list[Part]:
        return self._marked(text if self._unmarked is None else self._unmarked.feed(text))

    def _marked(self, text: str) -> list[Part]:
        return [Text(text)] if self._calls is None else self._calls.feed(text)
