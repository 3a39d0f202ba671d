"""The running requests: limits their number, cancels those whose client stopped reading, drains. It has no protocol."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Protocol

from appliance.errors import ApplianceError, OverloadedError
from appliance.gateway.refusals import ClientGoneError, ShuttingDownError, TooManyAnswersError
from appliance.within import within

_STALL_CHECK_S = 0.5


class Exchange(Protocol):
    """One running request.

    Attributes:
        writing_since: loop time at which the current write to the client began; None between writes.
    """

    writing_since: float | None

    def interrupt(self, reason: ApplianceError) -> None:
        """Stop the model's work; a reader of the answer gets the error `reason`. Has no effect after the end."""

    def abandon(self, reason: ApplianceError) -> None:
        """Interrupt the exchange during a write to its client that does not finish."""


class InFlight:
    """All open exchanges."""

    def __init__(self, max_requests: int, write_timeout_s: float) -> None:
        self._max_requests = max_requests
        self._write_timeout_s = write_timeout_s
        # Each exchange with its model and the number of its answers.
        self._exchanges: dict[Exchange, tuple[str | None, int]] = {}
        self._receiving = 0
        self._draining = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        """The number of running requests; each answer counts as one."""
        return sum(answers for _, answers in self._exchanges.values())

    @property
    def is_draining(self) -> bool:
        """Whether no more requests are admitted, because the gateway is stopping."""
        return self._draining.is_set()

    def check_open(self, answers: int = 1) -> None:
        """Check that a new request for this number of answers would be admitted now; each answer counts as one request.

        Raises:
            ShuttingDownError: the gateway is draining.
            TooManyAnswersError: the request alone has more answers than may run at the same time.
            OverloadedError: too many requests are running.
        """
        if self._draining.is_set():
            raise ShuttingDownError("the box is shutting down", hint="try again in a moment")
        if answers > self._max_requests:
            raise TooManyAnswersError(answers, "the box", self._max_requests, "concurrent requests (max_requests)")
        if len(self) + self._receiving + answers > self._max_requests:
            raise OverloadedError(
                f"{len(self) + self._receiving} of at most {self._max_requests} requests are already running",
                hint="try again later",
            )

    @contextlib.contextmanager
    def receiving(self) -> Iterator[None]:
        """Count a request while its body arrives: bodies must not fill the memory. Raises as `check_open` does."""
        self.check_open()
        self._receiving += 1
        try:
            yield
        finally:
            self._receiving -= 1

    @contextlib.contextmanager
    def holding(self, exchange: Exchange, model: str | None, answers: int = 1) -> Iterator[None]:
        """Count a request inside the block, after `check_open`; at the end of the block the exchange is interrupted.

        Args:
            exchange: the exchange.
            model: the served model that answers; None: a model of the site's own.
            answers: the number of its answers.
        """
        self._exchanges[exchange] = (model, answers)
        self._idle.clear()
        try:
            yield
        finally:
            # This has no effect on a stream that ended. Any other stream has no reader left.
            exchange.interrupt(ClientGoneError("the request was abandoned"))
            del self._exchanges[exchange]
            if not self._exchanges:
                self._idle.set()

    def interrupt(self, model: str, reason: ApplianceError) -> None:
        """Interrupt the running requests of a model."""
        for exchange, (of, _) in list(self._exchanges.items()):
            if of == model:
                exchange.interrupt(reason)

    async def watch_stalls(self) -> None:
        """Cancel exchanges whose client does not read; runs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(_STALL_CHECK_S, self._write_timeout_s / 4))
            limit = loop.time() - self._write_timeout_s
            for exchange in list(self._exchanges):
                if exchange.writing_since is not None and exchange.writing_since < limit:
                    exchange.abandon(ClientGoneError("the client stopped reading"))

    async def wait_draining(self) -> None:
        """Return when no more requests are admitted."""
        await self._draining.wait()

    async def drain(self, limit_s: float) -> None:
        """Admit no more requests and wait for the running ones; interrupt the rest after `limit_s` seconds."""
        self._draining.set()
        try:
            await within(limit_s, self._idle.wait())
        except asyncio.TimeoutError:
            for exchange in list(self._exchanges):
                exchange.interrupt(ShuttingDownError("the box is shutting down", hint="try again in a moment"))
