"""A source whose pieces are counted as they arrive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from appliance.errors import ApplianceError
from appliance.gateway.answering.answer import Source

Piece = TypeVar("Piece")


class CountedSource(Generic[Piece]):
    """See the module and `Source`."""

    def __init__(
        self,
        source: Source[Piece],
        count: Callable[[Piece], None],
        refused: Callable[[ApplianceError], None] | None = None,
    ) -> None:
        """Wrap a source.

        Args:
            source: the source.
            count: called with every piece.
            refused: called with the error if Triton or the engine fails; not called for a source that was cancelled.
        """
        self._source = source
        self._count = count
        self._refused = refused

    async def read(self) -> Piece | None:
        """Return the next piece, or None after the last; raises as the source does."""
        try:
            piece = await self._source.read()
        except ApplianceError as error:
            if self._refused is not None:
                self._refused(error)
            raise
        if piece is not None:
            self._count(piece)
        return piece

    def cancel(self) -> None:
        """Stop the work. Has no effect after the end."""
        self._refused = None
        self._source.cancel()
