"""One request past the door: whose it is, and what it may still use. It lasts as long as the request.

The current quota travels in a context variable, from the door to the services: a front end cannot forget to pass it on,
and what asks a model without having come through the door fails.
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
        principal: who asks.
        accounts: what is counted against: the principal's own and the box's.
        weight: as how many requests under way it counts.
        held_bytes: what it has of the box's memory for bodies.
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

    def widen(self, choices: int) -> None:
        """Count a request for several answers as so many under way.

        Raises:
            LimitError: they are too many at once.
        """
        for account in self.accounts:
            account.check_more(choices - 1)
        for account in self.accounts:
            account.begin_more(choices - 1)
        self.weight += choices - 1

    def check_room(self, count: int) -> None:
        """Pass if there is room for so many more bytes of the request's body.

        Raises:
            LimitError: not now.
        """
        for account in self.accounts:
            account.check_bytes(count)

    def hold(self, count: int) -> None:
        """Count bytes of the request's body that came, until the request is over; raises as `check_room` does.

        They stay counted while it is answered: what was made of them is in memory as long.
        """
        self.check_room(count)
        self._hold(count)

    @contextlib.contextmanager
    def holding(self, count: int) -> Iterator[None]:
        """Count them inside the block alone; raises as `check_room` does."""
        self.hold(count)
        try:
            yield
        finally:
            self._hold(-count)

    @contextlib.contextmanager
    def streaming(self) -> Iterator[None]:
        """Count it as a stream of requests inside the block.

        Raises:
            LimitError: too many are open.
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
        """Count that it is over."""
        self._hold(-self.held_bytes)
        for account in self.accounts:
            account.end(self.weight)

    @property
    def limits_tokens(self) -> bool:
        """Whether tokens of prompts or answers are limited."""
        return self._max_prompt_tokens is not None or any(account.tokens is not None for account in self.accounts)

    def reserve(self, prompt_tokens: int, param: str) -> None:
        """Count a prompt before it is computed.

        Raises:
            PromptTooLongError: it is longer than any prompt may be; `param` is what the client calls it.
            LimitError: too many tokens in this minute.
        """
        most = self._max_prompt_tokens
        if most is not None and prompt_tokens > most:
            raise PromptTooLongError(
                f"the prompt has {prompt_tokens} tokens, more than the box's limit of {most} (max_prompt_tokens)",
                param=param,
            )
        now = self._clock()
        for account in self.accounts:
            account.check_tokens(prompt_tokens, param, now)
        self._take(prompt_tokens, now)
        self._reserved += prompt_tokens

    def spend(self, tokens: int) -> None:
        """Count tokens of the answer as they come."""
        self._reserved = 0
        self._take(tokens, self._clock())

    def give_back(self) -> None:
        """Take back what was reserved, because the engine refused the work; without effect after the first token."""
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
        LookupError: it did not come through the door.
    """
    return _CURRENT.get()


def begin(quota: RequestQuota) -> None:
    """Make it the current quota of this task and of those it starts."""
    _CURRENT.set(quota)
