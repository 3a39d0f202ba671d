"""The bytes of an answer: one JSON document, or server-sent events. What is the same in every event is encoded once."""

from __future__ import annotations

import abc
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from appliance.gateway.completion import Delta, TokenLogprob, Usage

DONE = b"data: [DONE]\n\n"
encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
# Stands for the text while an event is encoded once and cut in two.
_MARK = "\0"


@dataclass(frozen=True)
class Envelope:
    """What every part of an answer repeats."""

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


class Form(abc.ABC):
    """One answer in the making; the subclasses say where text and log-probabilities stand in it.

    Args:
        include_usage: whether a stream ends with an event that holds the usage.
        alternatives: likeliest tokens to show beside each chosen one; None without log-probabilities.
        token_text: gives the text of one token.
    """

    ID_PREFIX: ClassVar[str]
    EVENT: ClassVar[str]
    DOCUMENT: ClassVar[str]
    # What the endpoint calls its prompt.
    PROMPT: ClassVar[str]

    def __init__(
        self,
        envelope: Envelope,
        *,
        include_usage: bool,
        alternatives: int | None,
        token_text: Callable[[int], str],
    ) -> None:
        self.usage = Usage()
        self.alternatives = alternatives
        self.token_text = token_text
        self._envelope = envelope
        self._include_usage = include_usage
        self._before, self._after = self._event(self._piece(_MARK)).split(encode(_MARK).encode())

    def head(self) -> bytes:
        """Events before the first piece."""
        return b""

    def events(self, delta: Delta) -> bytes:
        """Events for one piece; empty if there is nothing to say."""
        events = b""
        if self.alternatives is not None and delta.logprobs:
            events = self._event(self._piece(delta.text), logprobs=self._logprobs(delta.logprobs))
        elif delta.text:
            events = self._before + encode(delta.text).encode() + self._after
        if delta.finish_reason:
            self.usage = delta.usage or self.usage
            events += self._event(self._nothing(), finish_reason=delta.finish_reason)
        return events

    def tail(self) -> bytes:
        """Events after the last piece."""
        if not self._include_usage:
            return DONE
        fields = {**self._envelope.fields(self.EVENT), "choices": [], "usage": usage_fields(self.usage)}
        return _server_sent(fields) + DONE

    def document(self, deltas: Sequence[Delta]) -> bytes:
        """The whole answer as one JSON document."""
        last = deltas[-1]
        self.usage = last.usage or self.usage
        tokens = [token for delta in deltas for token in delta.logprobs]
        choice = {
            "index": 0,
            **self._whole("".join(delta.text for delta in deltas)),
            "logprobs": None if self.alternatives is None else self._logprobs(tokens),
            "finish_reason": last.finish_reason,
        }
        fields = {**self._envelope.fields(self.DOCUMENT), "choices": [choice], "usage": usage_fields(self.usage)}
        return encode(fields).encode()

    def _event(self, content: dict[str, Any], *, logprobs: Any = None, finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, **content, "logprobs": logprobs, "finish_reason": finish_reason}
        fields = {**self._envelope.fields(self.EVENT), "choices": [choice]}
        return _server_sent({**fields, "usage": None} if self._include_usage else fields)

    @abc.abstractmethod
    def _piece(self, text: str) -> dict[str, Any]:
        """Fields of an event's choice that adds text."""

    @abc.abstractmethod
    def _nothing(self) -> dict[str, Any]:
        """Fields of an event's choice that adds none."""

    @abc.abstractmethod
    def _whole(self, text: str) -> dict[str, Any]:
        """Fields of a document's choice."""

    @abc.abstractmethod
    def _logprobs(self, tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
        """A choice's `logprobs`."""


def usage_fields(usage: Usage) -> dict[str, Any]:
    """OpenAI's `usage`."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


def _server_sent(value: Any) -> bytes:
    return f"data: {encode(value)}\n\n".encode()
