"""The output of one request: converts chosen tokens to text and events, and detects the end of the completion."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from appliance.engine.bad_words import bad_word_tokens
from appliance.engine.constraint import Constraint
from appliance.engine.sampler import SamplerState
from appliance.engine.sequence import Sequence
from appliance.engine.stop import StopMatcher
from appliance.engine.tokenizer import Detokeniser, Tokenizer
from appliance.inference.events import Event, FinishEvent, FinishReason, PromptEvent, TokenEvent, TokenLogprob

Sink = Callable[[Event], None]
_log = logging.getLogger(__name__)


class Stream:
    """A sequence with its sink, sampler state and text.

    Attributes:
        sequence: see Sequence.
        sampler: see SamplerState.
        is_deaf: True after the sink has failed; no more events are sent to it.
        stop_reason: see FinishEvent.
    """

    def __init__(
        self,
        sequence: Sequence,
        sink: Sink,
        tokenizer: Tokenizer,
        end_tokens: Collection[int],
        matcher: Constraint | None = None,
    ) -> None:
        params = sequence.request.sampling
        self.sequence = sequence
        self.sampler = SamplerState(
            sequence.request, tuple(end_tokens), matcher, bad_word_tokens(tokenizer, params.bad_words)
        )
        self.is_deaf = False
        self.stop_reason: str | int | None = None
        self._sink = sink
        # With a grammar, ignore_eos forbids end tokens unless no other token is possible, so a chosen end token counts.
        ignored = params.ignore_eos and matcher is None
        self._own_ends = frozenset() if ignored else frozenset(end_tokens)
        self._stop_tokens = frozenset(params.stop_token_ids)
        self._text = Detokeniser(tokenizer)
        self._stop = StopMatcher(params.stop)

    def accept(self, token: int, logprob: TokenLogprob | None, now: float) -> FinishReason | None:
        """Append the chosen token and send the certain text. Return why the completion ends, or None."""
        self.sequence.append(token, now)
        self.sampler.accept(token)
        text, reason = self._advance(token)
        self._tell(TokenEvent((token,), text, None if logprob is None else (logprob,)))
        return reason

    def score(self, logprobs: tuple[TokenLogprob, ...]) -> None:
        """Send the log-probabilities of the prompt's next tokens."""
        self.sequence.scored += len(logprobs)
        self._tell(PromptEvent(logprobs))

    def finish(self, event: FinishEvent) -> None:
        """Send the last event."""
        self._tell(event)

    def _advance(self, token: int) -> tuple[str, FinishReason | None]:
        """Return the text that became certain with `token`, and why the completion ends, or None."""
        sequence, params, matcher = self.sequence, self.sequence.request.sampling, self.sampler.matcher
        reason = self._end_of(token)
        if reason is not None:
            return self._stop.flush(), reason
        text = self._text.push(token)
        if sequence.completion_tokens >= params.min_tokens:
            text, self.stop_reason = self._stop.push(text)
        if self.stop_reason is not None:
            return text, FinishReason.STOP
        if matcher is not None and matcher.is_complete:
            return text + self._stop.flush(), FinishReason.STOP
        if sequence.completion_tokens >= sequence.max_tokens:
            return text + self._stop.flush(), FinishReason.LENGTH
        if matcher is not None and matcher.error is not None:
            # The token is text, but no token can follow it.
            return text + self._stop.flush(), FinishReason.ERROR
        return text, None

    def _end_of(self, token: int) -> FinishReason | None:
        """Why `token` ends the completion without adding text; None if it does not."""
        matcher = self.sampler.matcher
        if token in self._own_ends:
            # If no token can produce the required text, the grammar allows the end token and then reports an error.
            return FinishReason.STOP if matcher is None or matcher.error is None else FinishReason.ERROR
        # If a grammar allows only a stop token before min_tokens is reached, the stop token counts as text.
        if token in self._stop_tokens and self.sequence.completion_tokens > self.sequence.request.sampling.min_tokens:
            self.stop_reason = token
            return FinishReason.STOP
        return None

    def _tell(self, event: Event) -> None:
        if self.is_deaf:
            return
        try:
            self._sink(event)
        except Exception:  # noqa: BLE001 - a fault of the sink, another component's code, ends only one request
            self.is_deaf = True
            _log.exception("the sink of request %r failed; the request is cancelled", self.sequence.request.request_id)
