"""The quota of one admitted request: its principal, and what it may still use. It lasts as long as the request.

The current quota is in a context variable, set by access control and read by the services. So no front end can forget
to pass it on, and a request that did not pass access control fails.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar

from appliance.auth.principal import Principal
from appliance.errors import PromptTooLongError
from appliance.gateway.access.account import Account

_CURRENT: ContextVar[RequestQuota] = ContextVar("quota")


class RequestQuota:
    """See the module.

    Attributes:
        principal: who sent the request.
        accounts: the accounts that it counts against: the principal's and the box's.
        weight: as how many requests it counts.
        held_bytes: bytes that its body holds of the box's memory.
    """

    def __init__(
        self,
        principal: Principal,
        accounts: Sequence[Account],
        max_prompt_tokens: int | None,
        clock: Callable[[], float],
    ) -> None:
        self.principal = principal
        self.accounts = accounts
        self._max_prompt_tokens = max_prompt_tokens
        self._clock = clock
        self._reserved = 0
        self.weight = 1
        self.held_bytes = 0

    def widen(self, answers: int) -> None:
        """Count a request for several answers as that many requests.

        Raises:
            TooManyAnswersError: the request alone exceeds a limit.
            LimitError: there would be too many requests, concurrent or in this minute.
        """
        now = self._clock()
        for account in self.accounts:
            account.check_more(answers - 1, now)
        for account in self.accounts:
            account.begin(now, answers - 1)
        self.weight += answers - 1

    def check_room(self, count: int) -> None:
        """Check that `count` more bytes of the request's body fit.

        Raises:
            LimitError: they do not fit now.
        """
        for account in self.accounts:
            account.check_bytes(count)

    def hold(self, count: int) -> None:
        """Count received bytes of the request's body until the request ends; raises as `check_room` does.

        They stay counted while the request is answered, because the parsed body stays in memory as long.
        """
        self.check_room(count)
        self._hold(count)

    @contextlib.contextmanager
    def holding(self, count: int) -> Iterator[None]:
        """Count `count` bytes only inside the block; raises as `check_room` does."""
        self.hold(count)
        try:
            yield
        finally:
            self._hold(-count)

    @contextlib.contextmanager
    def streaming(self) -> Iterator[None]:
        """Count the request as a stream inside the block.

        Raises:
            LimitError: too many streams are open.
        """
        for account in self.accounts:
            account.check_stream()
        for account in self.accounts:
            account.streams += 1
        try:
            yield
        finally:
            for account in self.accounts:
                account.streams -= 1

    def end(self) -> None:
        """Count that the request has ended."""
        self._hold(-self.held_bytes)
        for account in self.accounts:
            account.end(self.weight)

    @property
    def limits_tokens(self) -> bool:
        """Whether tokens of prompts or answers are limited."""
        return self._max_prompt_tokens is not None or any(account.tokens is not None for account in self.accounts)

    def reserve(self, prompts: Sequence[int], param: str) -> None:
        """Count the tokens of each prompt before it is computed.

        Raises:
            PromptTooLongError: the prompt exceeds the limit of any prompt; `param` is the client's name for the prompt.
            LimitError: there were too many tokens in this minute.
        """
        most, longest, total = self._max_prompt_tokens, max(prompts), sum(prompts)
        if most is not None and longest > most:
            raise PromptTooLongError(
                f"prompt is too long: {longest} tokens > {most} maximum of the box (max_prompt_tokens)",
                param=param,
            )
        now = self._clock()
        for account in self.accounts:
            account.check_tokens(total, param, now)
        self._take(total, now)
        self._reserved += total

    def spend(self, tokens: int) -> None:
        """Count the answer's tokens as they arrive."""
        self._reserved = 0
        self._take(tokens, self._clock())

    def give_back(self) -> None:
        """Give back the reserved tokens after the engine rejected the request; no effect after the first token."""
        self._take(-self._reserved, self._clock())
        self._reserved = 0

    def _hold(self, count: int) -> None:
        self.held_bytes += count
        for account in self.accounts:
            account.held_bytes += count

    def _take(self, tokens: int, now: float) -> None:
        for account in self.accounts:
            account.take_tokens(tokens, now)


def current() -> RequestQuota:
    """The quota of the request that this task serves.

    Raises:
        LookupError: the request did not pass access control.
    """
    return _CURRENT.get()


def principal_name() -> str | None:
    """The name of the principal of the request that this task serves; None for calls that are open to all."""
    quota = _CURRENT.get(None)
    return None if quota is None else quota.principal.name


def begin(quota: RequestQuota) -> None:
    """Make `quota` the current quota of this task and of the tasks that it starts."""
    _CURRENT.set(quota)
