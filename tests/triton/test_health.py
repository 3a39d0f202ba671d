import asyncio
import importlib.metadata
import json
import struct
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from appliance.errors import EngineError, MissingProgramError, UnavailableError
from appliance.triton import sockets
from appliance.triton.health import TritonHealth, raw_outputs
from appliance.triton.version import TritonVersion
from tests.refusals import refused

_ZERO, _ONE, _THREE = (struct.pack("<I", number) for number in (0, 1, 3))


def _bytes(text: bytes) -> bytes:
    return struct.pack("<I", len(text)) + text


def _answer(reason: bytes, prompt: bytes, tokens: bytes) -> service_pb2.ModelStreamInferResponse:
    response = service_pb2.ModelStreamInferResponse()
    for name, data_type, raw in (
        ("finish_reason", "BYTES", reason),
        ("num_input_tokens", "UINT32", prompt),
        ("num_output_tokens", "UINT32", tokens),
    ):
        response.infer_response.outputs.add(name=name, datatype=data_type, shape=[1])
        response.infer_response.raw_output_contents.append(raw)
    return response


def _echo(request: service_pb2.ModelInferRequest) -> service_pb2.ModelStreamInferResponse:
    given = dict(zip([tensor.name for tensor in request.inputs], request.raw_input_contents, strict=True))
    most = json.loads(given["sampling_parameters"][4:])["max_tokens"]
    return _answer(_bytes(b"length"), struct.pack("<I", len(given["input_ids"]) // 4), struct.pack("<I", most))


class _Triton(service_pb2_grpc.GRPCInferenceServiceServicer):
    """A Triton with one model whose answers are made by a function."""

    def __init__(self, answer: Callable[[service_pb2.ModelInferRequest], service_pb2.ModelStreamInferResponse]):
        self.answer = answer

    async def ServerMetadata(self, _request, _context):  # noqa: N802 - KServe's name
        return service_pb2.ServerMetadataResponse(name="triton", version="2.51.0")

    async def ModelReady(self, request, _context):  # noqa: N802
        return service_pb2.ModelReadyResponse(ready=request.name == "tiny")

    async def ModelStreamInfer(self, requests, _context):  # noqa: N802
        async for request in requests:
            yield self.answer(request)


@asynccontextmanager
async def _serving(answer) -> AsyncIterator[TritonHealth]:
    server = grpc.aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(_Triton(answer), server)
    with tempfile.TemporaryDirectory() as folder:
        server.add_insecure_port(f"unix:{folder}/{sockets.GRPC}")
        await server.start()
        try:
            async with TritonHealth(Path(folder)) as health:
                yield health
        finally:
            await server.stop(None)


def _prove(answer) -> None:
    async def prove() -> None:
        async with _serving(answer) as health:
            await health.prove_round_trip("tiny")

    asyncio.run(prove())


def test_tensors_that_arrive_in_both_directions_prove_the_way():
    _prove(_echo)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((b"", b"", b""), id="numpy 2: every tensor is empty"),
        pytest.param((_bytes(b""), _ZERO, _ZERO), id="emptied inside"),
        pytest.param((_bytes(b"leng"), _THREE, _ONE), id="text cut"),
        pytest.param((_bytes(b"length"), _ZERO, _ONE), id="prompt emptied"),
        pytest.param((_bytes(b"length"), _THREE, _THREE), id="sampling parameters ignored"),
        pytest.param((_bytes(b"length"), b"", b""), id="no figures"),
    ],
)
def test_a_tensor_that_does_not_survive_stops_the_start(answer):
    with pytest.raises(MissingProgramError, match="numpy<2"):
        _prove(lambda _request: _answer(*answer))


def test_a_model_that_answers_with_an_error_is_told():
    with pytest.raises(EngineError, match="EngineError: the graph is gone"):
        _prove(lambda _request: service_pb2.ModelStreamInferResponse(error_message="EngineError: the graph is gone"))


def test_a_stub_that_dies_of_a_tensor_under_numpy_2_is_told_apart_from_an_engine_that_dies(
    monkeypatch: pytest.MonkeyPatch,
):
    dead = service_pb2.ModelStreamInferResponse(error_message="Stub process 'tiny_0_0' is not healthy.\nwhat(): ...")
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "2.3.5")
    with refused(MissingProgramError, "Stub process", "2.3.5", "numpy<2"):
        _prove(lambda _request: dead)
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "1.26.4")
    with refused(EngineError, "Stub process"):
        _prove(lambda _request: dead)


def test_readiness_and_version_are_triton_s_own_words():
    async def ask() -> tuple[bool, bool, TritonVersion]:
        async with _serving(_echo) as health:
            return await health.is_ready("tiny"), await health.is_ready("other"), await health.version()

    assert asyncio.run(ask()) == (True, False, TritonVersion(2, 51))


def test_nobody_there_is_not_ready_and_has_no_version(tmp_path: Path):
    async def ask() -> None:
        async with TritonHealth(tmp_path) as health:
            assert not await health.is_ready("tiny")
            with pytest.raises(UnavailableError):
                await health.version()
            with refused(EngineError, "test request"):
                await health.prove_round_trip("tiny")

    asyncio.run(ask())


def test_an_output_without_content_is_absent():
    assert raw_outputs(service_pb2.ModelInferResponse()) == {}
