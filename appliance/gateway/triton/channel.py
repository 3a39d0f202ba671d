"""The gateway's one connection to Triton's gRPC socket. It interprets no messages."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from appliance.errors import UnavailableError
from appliance.gateway.triton.methods import SERVICE
from appliance.gateway.triton.stream_call import StreamCall
from appliance.triton.sockets import CHANNEL_OPTIONS, grpc_target

Metadata = Sequence[tuple[str, str]]
_OPTIONS = [
    *CHANNEL_OPTIONS,
    ("grpc.max_receive_message_length", -1),
    # With growing flow-control windows, Triton could send many MB of an answer that its client does not read.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.max_send_message_length", -1),
    # After a restart of Triton, the next request should not wait for a back-off of minutes. There is no minimum:
    # appliance/triton/health.py has the reason.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class TritonChannel:
    """One channel that all requests share. Messages are bytes in both directions."""

    def __init__(self, sockets: Path) -> None:
        """Create a channel to Triton's sockets in this folder; it connects at the first call.

        Raises:
            UnavailableError: the folder does not exist.
        """
        self._held = ExitStack()
        try:
            target = self._held.enter_context(grpc_target(sockets))
        except OSError as error:
            raise UnavailableError(
                f"{sockets}: {error.strerror}", hint="this folder must contain Triton's sockets"
            ) from error
        self._channel = grpc.aio.insecure_channel(target, options=_OPTIONS)

    def unary(self, method: str, message: bytes, timeout_s: float, metadata: Metadata = ()) -> Any:
        """Start a call with one message and one answer; returns the call of grpc.aio."""
        return self._multicallable("unary_unary", method)(message, timeout=timeout_s, metadata=metadata)

    def stream(self, method: str, messages: Sequence[bytes], timeout_s: float) -> StreamCall:
        """Start a call with these messages and any number of answers."""
        return StreamCall(self._multicallable("stream_stream", method)(timeout=timeout_s), messages)

    async def close(self) -> None:
        """Close the channel; streams that are still open fail."""
        await self._channel.close()
        self._held.close()

    def _multicallable(self, kind: str, method: str) -> Any:
        return getattr(self._channel, kind)(f"/{SERVICE}/{method}")
