"""One request's way back to its client: chosen tokens become text, text becomes events, and an end is recognised."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from appliance.engine.events import Event, FinishEvent, FinishReason, TokenEvent, TokenLogprob
from appliance.engine.sampler import SamplerState
from appliance.engine.sequence import Sequence
from appliance.engine.stop import StopMatcher
from appliance.engine.tokenizer import Detokeniser, Tokenizer

Sink = Callable[[Event], None]
_log = logging.getLogger(__name__)


class Stream:
    """A sequence with its sink, sampler state and text.

    Attributes:
        sequence: see Sequence.
        sampler: see SamplerState.
        is_deaf: the sink has failed; nothing more is sent to it.
    """

    def __init__(self, sequence: Sequence, sink: Sink, tokenizer: Tokenizer, end_tokens: Collection[int]) -> None:
        params = sequence.request.sampling
        self.sequence = sequence
        self.sampler = SamplerState(sequence.request, tuple(end_tokens))
        self.is_deaf = False
        self._sink = sink
        self._ends = frozenset(params.stop_token_ids) | (frozenset() if params.ignore_eos else frozenset(end_tokens))
        self._text = Detokeniser(tokenizer)
        self._stop = StopMatcher(params.stop)

    def accept(self, token: int, logprob: TokenLogprob | None, now: float) -> FinishReason | None:
        """Append the chosen token, send what became certain, and return why the completion ends, if it does."""
        self.sequence.append(token, now)
        self.sampler.accept(token)
        text, reason = self._advance(token)
        self._tell(TokenEvent((token,), text, None if logprob is None else (logprob,)))
        return reason

    def finish(self, event: FinishEvent) -> None:
        """Send the last event."""
        self._tell(event)

    def _advance(self, token: int) -> tuple[str, FinishReason | None]:
        """Return the text that became certain with `token`, and why the completion ends."""
        sequence = self.sequence
        if token in self._ends:
            return self._stop.flush(), FinishReason.STOP
        text, stopped = self._text.push(token), False
        if sequence.completion_tokens >= sequence.request.sampling.min_tokens:
            text, stopped = self._stop.push(text)
        if stopped:
            return text, FinishReason.STOP
        if sequence.completion_tokens >= sequence.max_tokens:
            return text + self._stop.flush(), FinishReason.LENGTH
        return text, None

    def _tell(self, event: Event) -> None:
        if self.is_deaf:
            return
        try:
            self._sink(event)
        except Exception:  # noqa: BLE001 - another component's code: its fault ends one request, not the engine
            self.is_deaf = True
            _log.exception("the sink of request %r failed; the request is cancelled", self.sequence.request.request_id)
