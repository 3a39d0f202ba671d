"""Encodes answers of `/v1/messages`: one document, or events. Both use the same content blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from appliance.errors import ApplianceError
from appliance.gateway.anthropic.failure import failure_event
from appliance.gateway.chat.arguments import arguments_object, not_an_object
from appliance.gateway.chat.parts import Part, Piece, Reasoning, Text, ToolArguments, ToolCall
from appliance.gateway.http.json_text import encode
from appliance.inference.events import Usage

# Anthropic's keep-alive event; its clients ignore it at any place of a stream.
PING = b'event: ping\ndata: {"type":"ping"}\n\n'


@dataclass
class _Open:
    """The block that is being written: its JSON so far, and its text so far."""

    block: dict[str, Any]
    text: list[str] = field(default_factory=list)


class MessageEncoder:
    """Encodes one answer.

    Args:
        message_id: the answer's id.
        request_id: goes into an error event in the middle of the stream.
        model: the model's name.
        prompt_tokens: known before the model answers; the number of cached tokens is not.
        length_reason: the stop reason of a completion that ends because of its length.
    """

    def __init__(
        self, message_id: str, request_id: str, model: str, *, prompt_tokens: int, length_reason: str = "max_tokens"
    ) -> None:
        self._usage = Usage(prompt_tokens=prompt_tokens)
        self._base = {"id": message_id, "type": "message", "role": "assistant", "model": model}
        self._request_id = request_id
        self._length_reason = length_reason
        self._blocks: list[dict[str, Any]] = []
        self._open: _Open | None = None
        self._events: list[str] = []
        self._stop: dict[str, str | None] = {"stop_reason": None, "stop_sequence": None}

    def head(self) -> bytes:
        """Events before the first piece."""
        message: dict[str, Any] = {**self._base, "content": [], **self._stop, "usage": self._usage_fields()}
        self._emit({"type": "message_start", "message": message})
        return self._taken() + PING

    def events(self, piece: Piece) -> bytes:
        """Events for one piece; empty if the piece adds nothing."""
        self._take(piece)
        return self._taken()

    def tail(self) -> bytes:
        """Events after the last piece."""
        self._close()
        self._emit({"type": "message_delta", "delta": self._stop, "usage": self._usage_fields()})
        self._emit({"type": "message_stop"})
        return self._taken()

    def document(self, pieces: Sequence[Piece]) -> bytes:
        """The whole answer.

        Raises:
            EngineError: a call's arguments are not a JSON object, as this API requires.
        """
        for piece in pieces:
            self._take(piece)
        self._close()
        for block in self._blocks:
            if block["type"] == "tool_use" and block["input"] is None:
                raise not_an_object(block["name"])
        message = {**self._base, "content": self._blocks, **self._stop, "usage": self._usage_fields()}
        return encode(message).encode()

    def failure(self, error: ApplianceError) -> bytes:
        """The last event of a stream whose status was already sent."""
        return failure_event(error, self._request_id)

    def _take(self, piece: Piece) -> None:
        for part in piece.parts:
            self._add(part)
        if piece.finish_reason:
            self._usage = piece.usage or self._usage
            self._stop = self._stop_fields(piece.finish_reason, piece.stop_reason)

    def _stop_fields(self, finish_reason: str, stop: str | int | None) -> dict[str, str | None]:
        # If a token ended the answer, `stop` is its number.
        stop_string = stop if isinstance(stop, str) else None
        if finish_reason == "length":
            reason = self._length_reason
        elif finish_reason == "tool_calls":
            reason = "tool_use"
        else:
            reason = "end_turn" if stop_string is None else "stop_sequence"
        return {"stop_reason": reason, "stop_sequence": stop_string if reason == "stop_sequence" else None}

    def _add(self, part: Part) -> None:
        if isinstance(part, Text):
            self._at({"type": "text", "text": ""})
            self._delta({"type": "text_delta", "text": part.text}, part.text)
        elif isinstance(part, Reasoning):
            self._at({"type": "thinking", "thinking": "", "signature": ""})
            self._delta({"type": "thinking_delta", "thinking": part.text}, part.text)
        elif isinstance(part, ToolCall):
            self._close()
            self._begin({"type": "tool_use", "id": part.call_id, "name": part.name, "input": {}})
        elif isinstance(part, ToolArguments):
            self._delta({"type": "input_json_delta", "partial_json": part.text}, part.text)

    def _at(self, block: dict[str, Any]) -> None:
        """Make sure that a block of this kind is open."""
        if self._open is None or self._open.block["type"] != block["type"]:
            self._close()
            self._begin(block)

    def _begin(self, block: dict[str, Any]) -> None:
        self._open = _Open(block)
        self._emit({"type": "content_block_start", "index": len(self._blocks), "content_block": block})

    def _delta(self, delta: Mapping[str, Any], text: str) -> None:
        if self._open is not None:
            self._open.text.append(text)
            self._emit({"type": "content_block_delta", "index": len(self._blocks), "delta": delta})

    def _close(self) -> None:
        if self._open is None:
            return
        opened, self._open = self._open, None
        text = "".join(opened.text)
        if opened.block["type"] == "tool_use":
            # Calls before the last one end before the reason is known, and their arguments are complete.
            is_cut = self._stop["stop_reason"] not in {None, "tool_use"}
            opened.block["input"] = arguments_object(text, is_cut=is_cut)
        else:
            opened.block["text" if opened.block["type"] == "text" else "thinking"] = text
        self._emit({"type": "content_block_stop", "index": len(self._blocks)})
        self._blocks.append(opened.block)

    def _usage_fields(self) -> dict[str, Any]:
        usage = self._usage
        return {
            # Anthropic counts the cached tokens separately.
            "input_tokens": usage.prompt_tokens - usage.cached_tokens,
            "cache_read_input_tokens": usage.cached_tokens,
            "cache_creation_input_tokens": 0,
            "output_tokens": usage.completion_tokens,
        }

    def _emit(self, event: Mapping[str, Any]) -> None:
        self._events.append(f"event: {event['type']}\ndata: {encode(event)}\n\n")

    def _taken(self) -> bytes:
        """All events since the last call."""
        events, self._events = self._events, []
        return "".join(events).encode()
