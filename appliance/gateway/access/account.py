"""What one principal, or the whole box, has used of its limits. Rules alone: `now` is given, nothing is awaited."""

from __future__ import annotations

import math
from dataclasses import dataclass

from appliance.errors import PromptTooLongError
from appliance.gateway.access.rate import Rate
from appliance.gateway.refusals import LimitError


@dataclass(frozen=True)
class Limits:
    """Limits of one account; None is no limit.

    Attributes:
        whose: what messages call the account.
        max_requests: requests under way at once.
        requests_per_minute: requests that begin in a minute.
        tokens_per_minute: tokens of prompts and completions.
        max_held_bytes: bytes of the bodies of requests under way, from the first that comes to the answer's end.
        max_streams: gRPC calls open at once whose client may send one message after the other.
    """

    whose: str
    max_requests: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_held_bytes: int | None = None
    max_streams: int | None = None


class Account:
    """Counts against limits.

    Attributes:
        limits: see Limits.
        active: requests under way.
        held_bytes: what their bodies have.
        streams: see Limits.
    """

    def __init__(self, limits: Limits, now: float) -> None:
        self.limits = limits
        self.active = 0
        self.held_bytes = 0
        self.streams = 0
        self.requests = Rate(limits.requests_per_minute, now) if limits.requests_per_minute else None
        self.tokens = Rate(limits.tokens_per_minute, now) if limits.tokens_per_minute else None

    def check_more(self, count: int) -> None:
        """Pass if `count` more requests may be under way.

        Raises:
            LimitError: that would be too many under way at once.
        """
        most = self.limits.max_requests
        if most is not None and self.active + count > most:
            raise LimitError(self._over("max_requests", most, "concurrent requests"), retry_after_s=1)

    def check_bytes(self, count: int) -> None:
        """Pass if so many more bytes may be held.

        Raises:
            LimitError: not now.
        """
        most = self.limits.max_held_bytes
        if most is not None and self.held_bytes + count > most:
            raise LimitError(
                self._over("max_held_bytes", most, "bytes for the bodies of concurrent requests"), retry_after_s=1
            )

    def check_stream(self) -> None:
        """Pass if one more stream may be opened.

        Raises:
            LimitError: not now.
        """
        most = self.limits.max_streams
        if most is not None and self.streams >= most:
            raise LimitError(self._over("max_streams", most, "concurrent gRPC streams"), retry_after_s=1)

    def check_request(self, now: float) -> None:
        """Pass if one more request may begin. Nothing is counted yet.

        Raises:
            LimitError: it would be over a limit; it says which.
        """
        self.check_more(1)
        self._check(self.requests, 1, "requests_per_minute", "requests per minute", now)
        # In debt for earlier answers, or one token short: whatever this one asks, it would be over.
        self._check(self.tokens, 1, "tokens_per_minute", "tokens per minute", now)

    def check_tokens(self, amount: int, param: str, now: float) -> None:
        """Pass if a prompt of so many tokens may be computed.

        Raises:
            LimitError: not now.
            PromptTooLongError: not in any minute; `param` is what the client calls the prompt.
        """
        if self.tokens is not None and amount > self.tokens.per_minute:
            raise PromptTooLongError(
                f"the prompt has {amount} tokens, more than {self.limits.whose}'s limit of "
                f"{self.tokens.per_minute} tokens per minute (tokens_per_minute)",
                param=param,
            )
        self._check(self.tokens, amount, "tokens_per_minute", "tokens per minute", now)

    def begin(self, now: float) -> None:
        """Count a request that begins."""
        self.active += 1
        if self.requests is not None:
            self.requests.take(1, now)

    def begin_more(self, count: int) -> None:
        """Count that one that has begun became `count` more."""
        self.active += count

    def end(self, count: int = 1) -> None:
        """Count that it ended, with what it became."""
        self.active -= count

    def take_tokens(self, amount: int, now: float) -> None:
        """Count tokens, even over the limit; a negative amount gives back."""
        if self.tokens is not None:
            self.tokens.take(amount, now)

    def is_untouched(self, now: float) -> bool:
        """Whether a new account would be the same."""
        rates = [rate for rate in (self.requests, self.tokens) if rate is not None]
        return self.active == 0 and all(rate.full_s(now) == 0 for rate in rates)

    def _check(self, rate: Rate | None, amount: int, name: str, words: str, now: float) -> None:
        if rate is not None and (wait_s := rate.wait_s(amount, now)) > 0:
            raise LimitError(self._over(name, rate.per_minute, words), retry_after_s=max(1, math.ceil(wait_s)))

    def _over(self, name: str, value: int, words: str) -> str:
        return f"the request exceeds {self.limits.whose}'s limit of {value} {words} ({name})"
