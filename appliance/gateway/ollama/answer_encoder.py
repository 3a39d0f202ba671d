"""Encodes answers of `/api/chat` and `/api/generate`: lines of JSON, or one document."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from appliance.gateway.access_log import Record
from appliance.gateway.chat.arguments import arguments_object, not_an_object
from appliance.gateway.chat.parts import Piece, Reasoning, Text, ToolArguments, ToolCall
from appliance.gateway.chat.token_figures import token_figures
from appliance.gateway.http.json_text import encode
from appliance.gateway.ollama.timestamp import timestamp
from appliance.inference.events import TokenLogprob, Usage
from appliance.token_bytes import TokenBytes

_NS = 1_000_000_000
_NS_A_MS = 1_000_000


@dataclass(frozen=True)
class Content:
    """What one line adds to an answer."""

    text: str = ""
    thinking: str = ""
    calls: tuple[dict[str, Any], ...] = ()


def as_message(content: Content) -> dict[str, Any]:
    """The fields of `/api/chat`."""
    message: dict[str, Any] = {"role": "assistant", "content": content.text}
    if content.thinking:
        message["thinking"] = content.thinking
    if content.calls:
        message["tool_calls"] = list(content.calls)
    return {"message": message}


def as_response(content: Content) -> dict[str, Any]:
    """The fields of `/api/generate`, which offers no tools."""
    return {"response": content.text, **({"thinking": content.thinking} if content.thinking else {})}


def shown_figures(tokens: TokenBytes, alternatives: int, score: TokenLogprob) -> dict[str, Any]:
    """The fields of a token's log-probabilities, with this number of likeliest tokens."""
    figures = token_figures(tokens, score.token_id, score.logprob)
    top = [token_figures(tokens, *pair) for pair in score.top[:alternatives]]
    return {**figures, **({"top_logprobs": top} if top else {})}


@dataclass
class _Call:
    """The call that is being written."""

    call: ToolCall
    arguments: list[str] = field(default_factory=list)


class AnswerEncoder:
    """Encodes one answer. Each call is sent when it is complete, with its arguments as an object.

    Args:
        model: the model's name.
        record: the request's log line, which has its times.
        placed: `as_message` or `as_response`.
        shown: returns the fields of a token's log-probabilities; None: the answer has no log-probabilities.
    """

    def __init__(
        self,
        model: str,
        record: Record,
        placed: Callable[[Content], dict[str, Any]],
        shown: Callable[[TokenLogprob], dict[str, Any]] | None = None,
    ) -> None:
        self._model = model
        self._record = record
        self._placed = placed
        self._shown = shown
        self._call: _Call | None = None
        # Without a piece, the model was only loaded.
        self._reason = "load"
        self._usage: Usage | None = None

    @property
    def sign(self) -> bytes:
        """A line that adds nothing, for a stream that waits: each line of a stream must be an object."""
        return self._line(Content())

    def head(self) -> bytes:
        """Nothing: lines begin with the first piece."""
        return b""

    def events(self, piece: Piece) -> bytes:
        """The lines of one piece; empty if the piece adds nothing.

        Raises:
            EngineError: a call's arguments are not a JSON object, as this API requires.
        """
        contents = list(self._contents(piece))
        figures = self._figures(piece.logprobs)
        if figures and not contents:
            contents = [Content()]
        lines = b""
        for content in contents:
            lines += self._line(content, figures)
            # The first line contains the log-probabilities of all tokens of the piece.
            figures = {}
        return lines

    def tail(self) -> bytes:
        """The last line."""
        return self._line(Content(), self._end())

    def document(self, pieces: Sequence[Piece]) -> bytes:
        """The whole answer; raises as `events` does."""
        contents = [content for piece in pieces for content in self._contents(piece)]
        whole = Content(
            "".join(content.text for content in contents),
            "".join(content.thinking for content in contents),
            tuple(call for content in contents for call in content.calls),
        )
        figures = self._figures([token for piece in pieces for token in piece.logprobs])
        return self._line(whole, {**figures, **self._end()}).rstrip()

    def unloaded(self) -> bytes:
        """The document for a model that was unloaded."""
        self._reason = "unload"
        return self.document([])

    def _contents(self, piece: Piece) -> Iterator[Content]:
        if piece.finish_reason:
            self._reason = "length" if piece.finish_reason == "length" else "stop"
            self._usage = piece.usage
        for part in piece.parts:
            if isinstance(part, ToolArguments):
                if self._call is not None:
                    self._call.arguments.append(part.text)
                continue
            # A call before another part is complete, even in an answer that is cut later.
            yield from self._ended_call(is_cut=False)
            if isinstance(part, ToolCall):
                self._call = _Call(part)
            elif isinstance(part, Reasoning):
                yield Content(thinking=part.text)
            elif isinstance(part, Text):
                yield Content(part.text)
        if piece.finish_reason:
            yield from self._ended_call(is_cut=piece.finish_reason != "tool_calls")

    def _ended_call(self, *, is_cut: bool) -> Iterator[Content]:
        if self._call is None:
            return
        ended, self._call = self._call, None
        arguments = arguments_object("".join(ended.arguments), is_cut=is_cut)
        if arguments is None:
            raise not_an_object(ended.call.name)
        function = {"index": ended.call.index, "name": ended.call.name, "arguments": arguments}
        yield Content(calls=({"id": ended.call.call_id, "function": function},))

    def _figures(self, scores: Sequence[TokenLogprob]) -> dict[str, Any]:
        return {"logprobs": list(map(self._shown, scores))} if self._shown is not None and scores else {}

    def _end(self) -> dict[str, Any]:
        """The fields of the last line; times are in nanoseconds."""
        fields = {
            "done": True,
            "done_reason": self._reason,
            "total_duration": round(self._record.elapsed_ms * _NS_A_MS),
            "load_duration": round(self._record.fields.get("load_ms", 0.0) * _NS_A_MS),
        }
        if self._usage is None:
            return fields
        return {
            **fields,
            "prompt_eval_count": self._usage.prompt_tokens,
            "prompt_eval_duration": round(self._usage.prefill_s * _NS),
            "eval_count": self._usage.completion_tokens,
            "eval_duration": round(self._usage.decode_s * _NS),
        }

    def _line(self, content: Content, more: Mapping[str, Any] | None = None) -> bytes:
        fields = {"model": self._model, "created_at": timestamp(time.time()), **self._placed(content), "done": False}
        return f"{encode({**fields, **(more or {})})}\n".encode()
