"""Encodes an answer as one JSON document or as server-sent events. Repeated parts of events are encoded only once."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from appliance.gateway.chat.parts import Part, Text, joined
from appliance.gateway.chat.reader import Reader
from appliance.gateway.http.json_text import encode
from appliance.gateway.triton.completion import Delta, combined
from appliance.inference.events import TokenLogprob, Usage
from appliance.token_bytes import TokenBytes

DONE = b"data: [DONE]\n\n"
# A placeholder for the text: the event is encoded once and split at it.
_MARK = "\0"


@dataclass(frozen=True)
class Envelope:
    """The fields that every part of an answer repeats."""

    answer_id: str
    created: int
    model: str
    fingerprint: str

    def fields(self, kind: str) -> dict[str, Any]:
        """The envelope as JSON fields of an object of this kind."""
        return {
            "id": self.answer_id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
        }


class ChoiceEncoder(abc.ABC):
    """Encodes one answer; subclasses place the text and the log-probabilities.

    Args:
        readers: one reader for each choice.
        include_usage: whether a stream ends with an event that contains the usage.
        alternatives: number of likeliest tokens beside each chosen token; None: no log-probabilities.
        tokens: the bytes of each token.
    """

    ID_PREFIX: ClassVar[str]
    EVENT: ClassVar[str]
    DOCUMENT: ClassVar[str]

    def __init__(
        self,
        envelope: Envelope,
        readers: Sequence[Reader],
        *,
        include_usage: bool,
        alternatives: int | None,
        tokens: TokenBytes,
    ) -> None:
        self.alternatives = alternatives
        self.tokens = tokens
        self._envelope = envelope
        self._readers = readers
        self._include_usage = include_usage
        self._usages: dict[int, Usage] = {}
        self._frames = [self._frame(choice) for choice in range(len(readers))]

    @property
    def _usage(self) -> Usage:
        """The usage of the answer: all choices' tokens and the slowest choice's seconds; the prompt counts once."""
        return combined(list(self._usages.values()))

    def head(self) -> bytes:
        """Events before the first piece."""
        return b""

    def events(self, delta: Delta) -> bytes:
        """Events for one piece; empty if the piece adds nothing."""
        choice = delta.choice
        piece = self._readers[choice].read(delta)
        # The first event contains the log-probabilities of all tokens of the piece.
        logprobs = self._logprobs(choice, piece.logprobs) if self.alternatives is not None and piece.logprobs else None
        events = b""
        for part in piece.parts or ((Text(""),) if logprobs else ()):
            if isinstance(part, Text) and logprobs is None:
                before, after = self._frames[choice]
                events += before + encode(part.text).encode() + after
            else:
                events += self._event(choice, self._part(part), logprobs=logprobs)
            logprobs = None
        if piece.finish_reason:
            self._note(delta)
            events += self._event(choice, self._nothing(), finish_reason=piece.finish_reason)
        return events

    def tail(self) -> bytes:
        """Events after the last piece."""
        if not self._include_usage:
            return DONE
        fields = {**self._envelope.fields(self.EVENT), "choices": [], "usage": usage_fields(self._usage)}
        return _server_sent(fields) + DONE

    def document(self, deltas: Sequence[Delta]) -> bytes:
        """The whole answer as one JSON document."""
        choices = []
        for choice, reader in enumerate(self._readers):
            own = [delta for delta in deltas if delta.choice == choice]
            self._note(own[-1])
            pieces = [reader.read(delta) for delta in own]
            tokens = [token for piece in pieces for token in piece.logprobs]
            choices.append(
                {
                    "index": choice,
                    **self._whole(joined([part for piece in pieces for part in piece.parts])),
                    "logprobs": None if self.alternatives is None else self._logprobs(choice, tokens),
                    "finish_reason": pieces[-1].finish_reason,
                }
            )
        fields = {**self._envelope.fields(self.DOCUMENT), "choices": choices, "usage": usage_fields(self._usage)}
        return encode(fields).encode()

    def _note(self, last: Delta) -> None:
        if last.usage is not None:
            self._usages[last.choice] = last.usage

    def _frame(self, choice: int) -> tuple[bytes, bytes]:
        """The bytes before and after the text in an event that contains only text."""
        before, after = self._event(choice, self._part(Text(_MARK))).split(encode(_MARK).encode())
        return before, after

    def _event(
        self, choice: int, content: dict[str, Any], *, logprobs: Any = None, finish_reason: str | None = None
    ) -> bytes:
        entry = {"index": choice, **content, "logprobs": logprobs, "finish_reason": finish_reason}
        fields = {**self._envelope.fields(self.EVENT), "choices": [entry]}
        return _server_sent({**fields, "usage": None} if self._include_usage else fields)

    @abc.abstractmethod
    def _part(self, part: Part) -> dict[str, Any]:
        """Fields of an event's choice that adds a part."""

    @abc.abstractmethod
    def _nothing(self) -> dict[str, Any]:
        """Fields of an event's choice that adds no part."""

    @abc.abstractmethod
    def _whole(self, parts: Sequence[Part]) -> dict[str, Any]:
        """Fields of a document's choice."""

    @abc.abstractmethod
    def _logprobs(self, choice: int, tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
        """A choice's `logprobs`."""


def text_of(parts: Sequence[Part]) -> str:
    """The text for the user."""
    return "".join(part.text for part in parts if isinstance(part, Text))


def usage_fields(usage: Usage) -> dict[str, Any]:
    """OpenAI's `usage`, with the seconds of each phase. Rejected tokens of drafts are not completion tokens."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {
            "accepted_prediction_tokens": usage.accepted_draft_tokens,
            "rejected_prediction_tokens": usage.rejected_draft_tokens,
        },
        **seconds_fields(usage),
    }


def seconds_fields(usage: Usage) -> dict[str, float]:
    """The seconds of each phase of a request, by the names of Groq's API."""
    return {
        "queue_time": _seconds(usage.queue_s),
        "prompt_time": _seconds(usage.prefill_s),
        "completion_time": _seconds(usage.decode_s),
        "total_time": _seconds(usage.queue_s + usage.prefill_s + usage.decode_s),
    }


def _seconds(value: float) -> float:
    return round(value, 6)


def _server_sent(value: Any) -> bytes:
    return f"data: {encode(value)}\n\n".encode()
