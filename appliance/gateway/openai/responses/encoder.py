"""Encodes answers of `/v1/responses`: one document, or events with sequence numbers. Both use the same items."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from appliance.errors import ApplianceError
from appliance.gateway.chat.parts import Piece, Reasoning
from appliance.gateway.chat.token_figures import token_figures
from appliance.gateway.error_table import outcome, param
from appliance.gateway.http.json_text import encode
from appliance.gateway.openai.choice_encoder import seconds_fields
from appliance.gateway.openai.responses.items import ResponseItems
from appliance.gateway.openai.responses.offered import OfferedTool
from appliance.inference.events import TokenLogprob, Usage
from appliance.token_bytes import TokenBytes


class ResponseEncoder:
    """Encodes one answer.

    Args:
        response_id: the answer's id.
        created: seconds since 1970.
        echo: the fields of the request that the answer repeats, by OpenAI's names.
        alternatives: number of likeliest tokens beside each chosen token; None: no log-probabilities.
        offered: the tools that the answer may call.
        tokens: the bytes of each token.
        count_tokens: returns the number of tokens of a text.
        keep: called with the finished answer, as JSON fields and as bytes, before the answer is sent.
    """

    def __init__(
        self,
        response_id: str,
        created: int,
        echo: Mapping[str, Any],
        *,
        alternatives: int | None,
        offered: Sequence[OfferedTool],
        tokens: TokenBytes,
        count_tokens: Callable[[str], int],
        keep: Callable[[Mapping[str, Any], bytes], None],
    ) -> None:
        self._usage = Usage()
        self._base = {"id": response_id, "object": "response", "created_at": created, **echo}
        self._alternatives = alternatives
        self._tokens = tokens
        self._count_tokens = count_tokens
        self._keep = keep
        self._items = ResponseItems(self._emit, offered)
        self._number = 0
        self._events: list[str] = []
        self._thoughts = 0
        self._finish_reason = ""

    def head(self) -> bytes:
        """Events before the first piece."""
        self._emit("response.created", response=self._response("in_progress"))
        self._emit("response.in_progress", response=self._response("in_progress"))
        return self._taken()

    def events(self, piece: Piece) -> bytes:
        """Events for one piece; empty if the piece adds nothing."""
        self._take(piece)
        return self._taken()

    def tail(self) -> bytes:
        """Events after the last piece. This API has no [DONE]."""
        response, _ = self._finish()
        self._emit(f"response.{response['status']}", response=response)
        return self._taken()

    def document(self, pieces: Sequence[Piece]) -> bytes:
        """The whole answer."""
        for piece in pieces:
            self._take(piece)
        return self._finish()[1]

    def failure(self, error: ApplianceError) -> bytes:
        """The last events of a stream whose status was already sent."""
        row = outcome(error)
        self._emit("error", code=row.code or row.kind, message=str(error), param=param(error) or None)
        # The code must be from OpenAI's list.
        self._items.close(cut=True)
        failed = {"error": {"code": "server_error", "message": str(error)}, "output": self._items.done}
        self._emit("response.failed", response=self._response("failed", **failed))
        return self._taken()

    def _take(self, piece: Piece) -> None:
        thoughts = [part.text for part in piece.parts if isinstance(part, Reasoning)]
        if len(thoughts) < len(piece.parts):
            # The piece has other parts too, and its tokens are not assigned to parts.
            self._thoughts += sum(self._count_tokens(text) for text in thoughts)
        elif thoughts:
            self._thoughts += len(piece.token_ids)
        logprobs = [] if self._alternatives is None else [self._logprob(token) for token in piece.logprobs]
        self._items.add(piece.parts, logprobs)
        if piece.finish_reason:
            self._finish_reason = piece.finish_reason
            self._usage = piece.usage or self._usage

    def _finish(self) -> tuple[dict[str, Any], bytes]:
        """Close the open item, and return the answer as fields and as bytes."""
        cut = self._finish_reason == "length"
        self._items.close(cut=cut)
        fields: dict[str, Any] = {"output": self._items.done, "usage": self._usage_fields()}
        if cut:
            fields["incomplete_details"] = {"reason": "max_output_tokens"}
        else:
            fields["completed_at"] = int(time.time())
        response = self._response("incomplete" if cut else "completed", **fields)
        document = encode(response).encode()
        self._keep(response, document)
        return response, document

    def _response(self, status: str, **fields: Any) -> dict[str, Any]:
        empty: dict[str, Any] = {
            "error": None,
            "incomplete_details": None,
            "output": [],
            "usage": None,
            "completed_at": None,
        }
        return {**self._base, "status": status, **empty, **fields}

    def _usage_fields(self) -> dict[str, Any]:
        usage = self._usage
        return {
            "input_tokens": usage.prompt_tokens,
            "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
            "output_tokens": usage.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": self._thoughts},
            "total_tokens": usage.prompt_tokens + usage.completion_tokens,
            **seconds_fields(usage),
        }

    def _logprob(self, token: TokenLogprob) -> dict[str, Any]:
        likeliest = [token_figures(self._tokens, *pair) for pair in token.top[: self._alternatives]]
        return {**token_figures(self._tokens, token.token_id, token.logprob), "top_logprobs": likeliest}

    def _emit(self, kind: str, **fields: Any) -> None:
        event = {"type": kind, "sequence_number": self._number, **fields}
        self._events.append(f"event: {kind}\ndata: {encode(event)}\n\n")
        self._number += 1

    def _taken(self) -> bytes:
        """All events since the last call."""
        events, self._events = self._events, []
        return "".join(events).encode()
