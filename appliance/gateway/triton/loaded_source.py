"""A source that begins when its model is loaded. See `LoadedModels.ready`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from appliance.errors import DeadlineError
from appliance.gateway.loading.loaded_models import LoadedModels

Piece_co = TypeVar("Piece_co", covariant=True)


class Source(Protocol[Piece_co]):
    """The answer of a model."""

    async def read(self) -> Piece_co | None:
        """Return the next piece, or None after the last."""

    def cancel(self) -> None:
        """Stop the work. Has no effect after the end."""


class NoPieces:
    """A source without pieces."""

    async def read(self) -> None:
        """Return None."""

    def cancel(self) -> None:
        """Do nothing."""


class LoadedSource(Generic[Piece_co]):
    """See the module and `Source`."""

    def __init__(
        self,
        loaded: LoadedModels,
        model: str,
        timeout_s: float,
        waited: Callable[[float], None],
        send: Callable[[float], Source[Piece_co]],
    ) -> None:
        """Create a source; nothing is sent before the first read.

        Args:
            loaded: the models.
            model: the model that answers.
            timeout_s: seconds from now after which the request ends.
            waited: gets the seconds that the request waited for its model.
            send: sends the request; gets the seconds that are left.
        """
        self._loaded = loaded
        self._model = model
        self._waited = waited
        self._send = send
        self._clock = asyncio.get_running_loop().time
        self._until = self._clock() + timeout_s
        self._waiting: asyncio.Task[float] | None = None
        self._source: Source[Piece_co] | None = None

    async def read(self) -> Piece_co | None:
        """Return the next piece, or None after the last.

        Raises:
            ApplianceError: the model cannot be loaded, or the source's own errors.
            DeadlineError: the time is over before the model is loaded.
        """
        if self._source is None:
            self._waiting = asyncio.ensure_future(self._loaded.ready(self._model))
            self._waited(await self._waiting)
            left = self._until - self._clock()
            if left <= 0:
                raise DeadlineError("the request's deadline passed")
            self._source = self._send(left)
        return await self._source.read()

    def cancel(self) -> None:
        """Stop the work. Has no effect after the end."""
        if self._source is not None:
            self._source.cancel()
        elif self._waiting is not None:
            # The model is loaded all the same: other requests may wait for it.
            self._waiting.cancel()
