"""Encodes an answer as one JSON document or as server-sent events. Repeated parts of events are encoded only once."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from appliance.gateway.chat.parts import Part, Text, joined
from appliance.gateway.chat.reader import Reader
from appliance.gateway.http.json_text import encode
from appliance.gateway.openai.prompts import Prompt
from appliance.gateway.openai.shown import Shown
from appliance.gateway.triton.completion import Delta, combined
from appliance.inference.events import TokenLogprob, Usage
from appliance.inference.logprobs import figures
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
        prompts: the prompts; each has the same number of choices.
        shown: what the answer shows besides its text.
        tokens: the bytes of each token.
    """

    ID_PREFIX: ClassVar[str]
    EVENT: ClassVar[str]
    DOCUMENT: ClassVar[str]

    def __init__(
        self,
        envelope: Envelope,
        readers: Sequence[Reader],
        prompts: Sequence[Prompt],
        *,
        shown: Shown,
        tokens: TokenBytes,
    ) -> None:
        self.shown = shown
        self.tokens = tokens
        self._envelope = envelope
        self._readers = readers
        self._prompts = prompts
        self._scores: list[list[TokenLogprob]] = [[] for _ in readers]
        self._begun: set[int] = set()
        self._sent_tokens = 0
        self._usages: dict[int, Usage] = {}
        # Events that contain only text are the same but for the text.
        is_bare = not shown.token_ids and not shown.continuous_usage
        self._frames = [self._frame(choice) for choice in range(len(readers))] if is_bare else None

    @property
    def _usage(self) -> Usage:
        """The usage of the answer: all choices' tokens and the slowest choice's seconds; each prompt counts once."""
        return combined(self._usages, len(self._readers) // len(self._prompts))

    def _prompt(self, choice: int) -> Prompt:
        """The prompt that a choice answers."""
        return self._prompts[choice * len(self._prompts) // len(self._readers)]

    def head(self) -> bytes:
        """Events before the first piece."""
        return b""

    def events(self, delta: Delta) -> bytes:
        """Events for one piece; empty if the piece adds nothing."""
        choice = delta.choice
        self._scores[choice] += delta.prompt_logprobs
        if delta.prompt_logprobs and not delta.token_ids and not delta.finish_reason:
            return b""
        piece = self._readers[choice].read(delta)
        self._sent_tokens += len(delta.token_ids)
        events = self._opening(choice)
        # The first event contains the log-probabilities and the ids of all tokens of the piece.
        is_listed = self.shown.alternatives is not None and bool(piece.logprobs)
        logprobs = self._logprobs(choice, piece.logprobs) if is_listed else None
        ids = {"token_ids": piece.token_ids} if self.shown.token_ids and piece.token_ids else {}
        for part in piece.parts or ((Text(""),) if logprobs or ids else ()):
            if isinstance(part, Text) and logprobs is None and self._frames is not None:
                before, after = self._frames[choice]
                events += before + encode(part.text).encode() + after
            else:
                events += self._event(choice, {**self._part(part), **ids}, logprobs=logprobs)
            logprobs, ids = None, {}
        if piece.finish_reason:
            self._note(delta)
            events += self._event(choice, self._nothing(), finish_reason=piece.finish_reason)
        return events

    def _opening(self, choice: int) -> bytes:
        """The events of a choice before its first token."""
        if choice in self._begun:
            return b""
        self._begun.add(choice)
        content = self._before(choice)
        if not content:
            return b""
        logprobs = content.pop("logprobs", None)
        return self._event(choice, {**self._nothing(), **content}, logprobs=logprobs)

    def tail(self) -> bytes:
        """Events after the last piece."""
        if not self.shown.usage:
            return DONE
        fields = {**self._envelope.fields(self.EVENT), "choices": [], "usage": usage_fields(self._usage)}
        return _server_sent(fields) + DONE

    def document(self, deltas: Sequence[Delta]) -> bytes:
        """The whole answer as one JSON document."""
        choices = []
        by_choice: list[list[Delta]] = [[] for _ in self._readers]
        for delta in deltas:
            by_choice[delta.choice].append(delta)
        for choice, (reader, own) in enumerate(zip(self._readers, by_choice, strict=True)):
            self._note(own[-1])
            self._scores[choice] = [score for delta in own for score in delta.prompt_logprobs]
            pieces = [reader.read(delta) for delta in own]
            tokens = [token for piece in pieces for token in piece.logprobs]
            entry = {
                "index": choice,
                **self._whole(joined([part for piece in pieces for part in piece.parts])),
                "logprobs": None,
                "finish_reason": pieces[-1].finish_reason,
            }
            ids = [token for delta in own for token in delta.token_ids]
            choices.append(self._completed(choice, entry, tokens, ids))
        fields = {**self._envelope.fields(self.DOCUMENT), "choices": choices, "usage": usage_fields(self._usage)}
        return encode({**fields, **self._of_prompts()}).encode()

    def _completed(
        self, choice: int, entry: dict[str, Any], tokens: Sequence[TokenLogprob], ids: Sequence[int]
    ) -> dict[str, Any]:
        """A document's choice with the log-probabilities and ids of its tokens."""
        if self.shown.alternatives is not None:
            entry["logprobs"] = self._logprobs(choice, tokens)
        return {**entry, "token_ids": ids} if self.shown.token_ids else entry

    def _note(self, last: Delta) -> None:
        if last.usage is not None:
            self._usages[last.choice] = last.usage

    def _frame(self, choice: int) -> tuple[bytes, bytes]:
        """The bytes before and after the text in an event that contains only text."""
        before, after = self._event(choice, self._part(Text(_MARK))).split(encode(_MARK).encode())
        return before, after

    def _event(
        self,
        choice: int,
        content: dict[str, Any],
        *,
        logprobs: Any = None,
        finish_reason: str | None = None,
        **of_answer: Any,
    ) -> bytes:
        entry = {"index": choice, **content, "logprobs": logprobs, "finish_reason": finish_reason}
        fields = {**self._envelope.fields(self.EVENT), "choices": [entry], **of_answer}
        if self.shown.continuous_usage:
            fields["usage"] = self._usage_so_far()
        elif self.shown.usage:
            fields["usage"] = None
        return _server_sent(fields)

    def _usage_so_far(self) -> dict[str, int]:
        prompts, sent = sum(len(prompt.ids) for prompt in self._prompts), self._sent_tokens
        return {"prompt_tokens": prompts, "completion_tokens": sent, "total_tokens": prompts + sent}

    def _before(self, choice: int) -> dict[str, Any]:  # noqa: ARG002 - for subclasses
        """Fields of an event before the first token of a choice; without fields, there is no such event."""
        return {}

    def _of_prompts(self) -> dict[str, Any]:
        """Fields of a document that belong to no choice."""
        return {}

    def _prompt_figures(self, choice: int) -> list[dict[int, Any] | None]:
        """The log-probabilities of a choice's prompt in vLLM's format. The first token has none."""
        most = self.shown.prompt_alternatives
        cut = (replace(score, top=score.top[:most]) for score in self._scores[choice])
        return [None, *(figures(score, self._decoded) for score in cut)]

    def _decoded(self, token: int) -> str:
        return self.tokens.name(token).decode("utf-8", "replace")

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
