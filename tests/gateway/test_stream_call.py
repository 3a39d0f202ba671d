"""A call that ends while its messages are sent tells its reader why. With grpc.aio this is one call in a thousand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import grpc
import grpc.aio
import pytest

from appliance.gateway.triton.stream_call import StreamCall

LATE = grpc.aio.AioRpcError(grpc.StatusCode.DEADLINE_EXCEEDED, grpc.aio.Metadata(), grpc.aio.Metadata())
MESSAGES = [b"a", b"b"]


class EndedCall:
    """A call of grpc.aio that ends at its deadline during one step of sending."""

    def __init__(self, step: str, error: Exception) -> None:
        self._step = step
        self._error = error
        self.steps: list[str] = []

    async def write(self, message: bytes) -> None:
        self._do(message.decode())

    async def done_writing(self) -> None:
        self._do("close")

    async def read(self) -> bytes:
        self.steps.append("read")
        raise LATE

    def _do(self, step: str) -> None:
        self.steps.append(step)
        if step == self._step:
            raise self._error


@pytest.mark.parametrize("error", [LATE, grpc.aio.InternalError("batch"), asyncio.InvalidStateError("finished")])
@pytest.mark.parametrize(("step", "steps"), [("a", ["a"]), ("b", ["a", "b"]), ("close", ["a", "b", "close"])])
def test_the_reader_gets_the_status_of_a_call_that_ended_while_it_was_sent(
    step: str, steps: Sequence[str], error: Exception
):
    call = EndedCall(step, error)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        asyncio.run(StreamCall(call, MESSAGES).read())
    assert caught.value is LATE
    assert call.steps == [*steps, "read"]


def test_messages_are_sent_once():
    call = EndedCall("none", LATE)
    stream = StreamCall(call, MESSAGES)

    async def twice() -> None:
        for _ in range(2):
            with pytest.raises(grpc.aio.AioRpcError):
                await stream.read()

    asyncio.run(twice())
    assert call.steps == ["a", "b", "close", "read", "read"]
