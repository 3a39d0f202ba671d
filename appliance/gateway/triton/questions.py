"""What is asked of Triton that it answers at once, without a model's work."""

from __future__ import annotations

import grpc.aio
from tritonclient.grpc import service_pb2

from appliance.gateway.triton.channel import TritonChannel
from appliance.gateway.triton.forwarded_call import ForwardedCall
from appliance.gateway.triton.methods import QUESTIONS

# What is answered from memory takes no longer, unless Triton hangs.
_TIMEOUT_S = 10.0
_READY_TIMEOUT_S = 2.0


class Questions:
    """Asks over one channel."""

    def __init__(self, channel: TritonChannel) -> None:
        self._channel = channel

    async def ask(self, method: str, message: bytes, timeout_s: float = _TIMEOUT_S) -> bytes:
        """Return the answer to a question, both encoded.

        Args:
            method: one of `QUESTIONS`.
            message: what it takes.
            timeout_s: the longest wait, if it is shorter than ours.

        Raises:
            ApplianceError: Triton refused or went away.
            ValueError: the method is no question.
        """
        if method not in QUESTIONS:
            raise ValueError(f"{method} is no question")
        call = ForwardedCall(self._channel.unary(method, message, min(timeout_s, _TIMEOUT_S)), is_unary=True)
        try:
            return await call.only()
        finally:
            # Without effect after the answer.
            call.cancel()

    async def is_ready(self, model: str) -> bool:
        """Whether Triton answers and has this model loaded."""
        asked = service_pb2.ModelReadyRequest(name=model).SerializeToString()
        try:
            answer = await self._channel.unary("ModelReady", asked, _READY_TIMEOUT_S)
        except grpc.aio.AioRpcError:
            return False
        return bool(service_pb2.ModelReadyResponse.FromString(answer).ready)
