"""Writes one answer to its client."""

from __future__ import annotations

from typing import Any

from starlette.types import Send

from appliance.gateway.answering.answer import Answer


class Writer:
    """See the module.

    Attributes:
        has_begun: whether the status was sent.
    """

    def __init__(self, answer: Answer[Any], send: Send) -> None:
        """`answer` ends if a write takes too long."""
        self._answer = answer
        self._send = send
        self.has_begun = False

    async def start(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Send the status and the headers of the answer."""
        self.has_begun = True
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def write(self, body: bytes, *, more: bool = True) -> None:
        """Send a piece of the body; `more` is False for the last piece.

        Raises:
            ApplianceError: the client stopped reading.
        """
        await self._answer.write(self._send({"type": "http.response.body", "body": body, "more_body": more}))
