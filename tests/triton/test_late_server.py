"""A Triton that answers late, as on a busy machine, is reached: an attempt to connect is not ended too early."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc.aio
from tritonclient.grpc import service_pb2, service_pb2_grpc

from appliance.gateway.triton.channel import TritonChannel
from appliance.triton import sockets
from appliance.triton.health import TritonHealth
from tests.waiting import LIMIT_S

# Longer than any back-off of our channels.
_LATE_S = 1.5


class _Ready(service_pb2_grpc.GRPCInferenceServiceServicer):
    async def ModelReady(self, _request, _context):  # noqa: N802 - KServe's name
        return service_pb2.ModelReadyResponse(ready=True)


@asynccontextmanager
async def _late_triton() -> AsyncIterator[Path]:
    """The folder of a socket that takes connections at once and passes their bytes on late."""
    server = grpc.aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(_Ready(), server)
    with tempfile.TemporaryDirectory() as folder:
        server.add_insecure_port(f"unix:{folder}/real")
        await server.start()

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(_LATE_S)
            there, back = await asyncio.open_unix_connection(f"{folder}/real")
            await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))

        late = await asyncio.start_unix_server(relay, f"{folder}/{sockets.GRPC}")
        try:
            yield Path(folder)
        finally:
            late.close()
            await server.stop(None)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while content := await reader.read(1 << 16):
            writer.write(content)
            await writer.drain()
    writer.close()


def test_the_supervisor_finds_it_ready():
    async def look() -> None:
        async with _late_triton() as folder, TritonHealth(folder) as health:
            while not await health.is_ready("tiny"):
                pass  # each look takes its time

    asyncio.run(asyncio.wait_for(look(), LIMIT_S))


def test_the_gateway_reaches_it_with_its_first_call():
    async def call() -> bytes:
        async with _late_triton() as folder:
            channel = TritonChannel(folder)
            message = service_pb2.ModelReadyRequest(name="tiny").SerializeToString()
            try:
                answer: bytes = await channel.unary("ModelReady", message, LIMIT_S)
                return answer
            finally:
                await channel.close()

    assert service_pb2.ModelReadyResponse.FromString(asyncio.run(call())).ready
