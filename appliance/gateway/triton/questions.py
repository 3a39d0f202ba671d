"""Requests that Triton answers immediately, without inference."""

from __future__ import annotations

import grpc.aio
from tritonclient.grpc import service_pb2

from appliance.gateway.triton.channel import TritonChannel
from appliance.gateway.triton.forwarded_call import ForwardedCall
from appliance.gateway.triton.methods import QUESTIONS

# Triton answers from memory, so it only takes longer if Triton hangs.
_TIMEOUT_S = 10.0
_READY_TIMEOUT_S = 2.0


class Questions:
    """Sends such requests over one channel."""

    def __init__(self, channel: TritonChannel) -> None:
        self._channel = channel

    async def ask(self, method: str, message: bytes, timeout_s: float = _TIMEOUT_S) -> bytes:
        """Return the answer to a request, both encoded.

        Args:
            method: one of `QUESTIONS`.
            message: the method's request.
            timeout_s: the longest wait, if shorter than the default.

        Raises:
            ApplianceError: Triton rejected the call or ended.
            ValueError: the method is not one of `QUESTIONS`.
        """
        if method not in QUESTIONS:
            raise ValueError(f"{method} is no question")
        call = ForwardedCall(self._channel.unary(method, message, min(timeout_s, _TIMEOUT_S)), is_unary=True)
        try:
            return await call.only()
        finally:
            # This has no effect after the answer.
            call.cancel()

    async def is_ready(self, model: str) -> bool:
        """Whether Triton answers and has loaded this model."""
        asked = service_pb2.ModelReadyRequest(name=model).SerializeToString()
        try:
            answer = await self._channel.unary("ModelReady", asked, _READY_TIMEOUT_S)
        except grpc.aio.AioRpcError:
            return False
        return bool(service_pb2.ModelReadyResponse.FromString(answer).ready)
