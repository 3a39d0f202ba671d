"""What a principal, or the whole box, has used of its limits. Pure rules: the caller passes `now`; nothing awaits."""

from __future__ import annotations

import math
from dataclasses import dataclass

from appliance.errors import PromptTooLongError
from appliance.gateway.access.rate import Rate
from appliance.gateway.refusals import LimitError, TooManyAnswersError

_PER_MINUTE = "requests per minute"
_CONCURRENT = "concurrent requests"


@dataclass(frozen=True)
class Limits:
    """Limits of one account; None means no limit.

    Attributes:
        whose: the name of the account in error messages.
        max_requests: concurrent requests.
        requests_per_minute: requests that begin in a minute.
        tokens_per_minute: tokens of prompts and completions.
        max_held_bytes: bytes of the bodies of concurrent requests, from the first byte to the end of the answer.
        max_streams: concurrent gRPC calls whose client may send several messages.
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
        active: concurrent requests; each answer counts as one.
        held_bytes: bytes that their bodies hold.
        streams: open streams; see `Limits.max_streams`.
    """

    def __init__(self, limits: Limits, now: float) -> None:
        self.limits = limits
        self.active = 0
        self.held_bytes = 0
        self.streams = 0
        self.requests = Rate(limits.requests_per_minute, now) if limits.requests_per_minute else None
        self.tokens = Rate(limits.tokens_per_minute, now) if limits.tokens_per_minute else None

    def check_more(self, count: int, now: float) -> None:
        """Check that `count` more answers may begin, for a request that has already begun.

        Raises:
            TooManyAnswersError: the request alone exceeds a limit.
            LimitError: the request exceeds a limit now.
        """
        answers, most = count + 1, self.limits.max_requests
        if most is not None and answers > most:
            raise TooManyAnswersError(answers, self.limits.whose, most, f"{_CONCURRENT} (max_requests)")
        self._check_active(count)
        if self.requests is None or self.requests.wait_s(count, now) == 0:
            return
        if answers > self.requests.per_minute:
            most = self.requests.per_minute
            raise TooManyAnswersError(answers, self.limits.whose, most, f"{_PER_MINUTE} (requests_per_minute)")
        # A retry counts as a request before its further answers do.
        self._check(self.requests, answers, "requests_per_minute", _PER_MINUTE, now)

    def check_bytes(self, count: int) -> None:
        """Check that `count` more bytes may be held.

        Raises:
            LimitError: they exceed the limit now.
        """
        most = self.limits.max_held_bytes
        if most is not None and self.held_bytes + count > most:
            raise LimitError(
                self._over("max_held_bytes", most, "bytes for the bodies of concurrent requests"), retry_after_s=1
            )

    def check_stream(self) -> None:
        """Check that one more stream may be opened.

        Raises:
            LimitError: too many streams are open now.
        """
        most = self.limits.max_streams
        if most is not None and self.streams >= most:
            raise LimitError(self._over("max_streams", most, "concurrent gRPC streams"), retry_after_s=1)

    def check_request(self, now: float) -> None:
        """Check that one more request may begin. This counts nothing.

        Raises:
            LimitError: the request would exceed a limit; the message names the limit.
        """
        self._check_active(1)
        self._check(self.requests, 1, "requests_per_minute", _PER_MINUTE, now)
        # The account is in debt for earlier answers, or has no token left: any prompt would exceed the limit.
        self._check(self.tokens, 1, "tokens_per_minute", "tokens per minute", now)

    def check_tokens(self, amount: int, param: str, now: float) -> None:
        """Check that a prompt of `amount` tokens may be computed.

        Raises:
            LimitError: the prompt exceeds the limit now.
            PromptTooLongError: the prompt exceeds the limit of any minute; `param` is the client's name for the prompt.
        """
        if self.tokens is not None and amount > self.tokens.per_minute:
            raise PromptTooLongError(
                f"prompt is too long: {amount} tokens exceed {self.limits.whose}'s limit of "
                f"{self.tokens.per_minute} tokens per minute (tokens_per_minute)",
                param=param,
            )
        self._check(self.tokens, amount, "tokens_per_minute", "tokens per minute", now)

    def begin(self, now: float, count: int = 1) -> None:
        """Count a request that begins, or `count` more answers to it."""
        self.active += count
        if self.requests is not None:
            self.requests.take(count, now)

    def end(self, count: int = 1) -> None:
        """Count that a request with `count` answers ended."""
        self.active -= count

    def take_tokens(self, amount: int, now: float) -> None:
        """Count tokens, even over the limit; a negative amount gives tokens back."""
        if self.tokens is not None:
            self.tokens.take(amount, now)

    def is_untouched(self, now: float) -> bool:
        """Whether the account is in the same state as a new account."""
        rates = [rate for rate in (self.requests, self.tokens) if rate is not None]
        return self.active == 0 and all(rate.full_s(now) == 0 for rate in rates)

    def _check_active(self, count: int) -> None:
        most = self.limits.max_requests
        if most is not None and self.active + count > most:
            raise LimitError(self._over("max_requests", most, _CONCURRENT), retry_after_s=1)

    def _check(self, rate: Rate | None, amount: int, name: str, words: str, now: float) -> None:
        if rate is not None and (wait_s := rate.wait_s(amount, now)) > 0:
            raise LimitError(self._over(name, rate.per_minute, words), retry_after_s=max(1, math.ceil(wait_s)))

    def _over(self, name: str, value: int, words: str) -> str:
        return f"the request exceeds {self.limits.whose}'s limit of {value} {words} ({name})"
