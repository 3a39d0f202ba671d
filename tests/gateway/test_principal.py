"""Whatever message a client sends to KServe's service, the principal that the engine sees is the true one."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc

from appliance.errors import RequestError
from appliance.gateway.kserve.request import PassedRequest
from appliance.gateway.triton.tensors import in_name_of
from appliance.inference.served import ServedModelSettings
from appliance.inference.tensors import INPUTS, OUTPUTS
from appliance.triton.repository import configuration
from tests.gateway.harness import LoopThread
from tests.gateway.identity_triton import IdentityTriton, gateway_before

MODEL = "tiny-instruct"
TRUE, FORGED = "key:mine", "key:yours"
# The principal, and what a reader of C strings takes for it.
CLAIMS = ["principal", "principal\0", "principal\0x"]
DATATYPES = ["BYTES", "INT32", "BOOL", "FP16", "INT64", "FP32", "bytes", ""]


def in_true_name(asked: PassedRequest) -> bytes:
    """The message for a model that we serve, as the gateway sends it for TRUE."""
    return bytes(in_name_of(TRUE, asked.forwarded(MODEL, 1.0, is_unary=False).message).SerializeToString())


def for_other(asked: PassedRequest) -> bytes:
    """The message for a model that we do not serve."""
    return bytes(asked.forwarded(None, 1.0, is_unary=False).message.SerializeToString())


def element(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode()


def c_string(text: str) -> str:
    return text.partition("\0")[0]


def as_triton_reads(message: bytes) -> tuple[str, dict[str, list[bytes]]]:
    """The model, and each input's contents, by the rule of Triton's gRPC front end.

    An input has typed contents, or shared memory, or else the next of the raw contents; those left over are for nobody.
    Texts end at their first NUL. An input that is given twice is an error there; here it has both contents.
    """
    request = pb.ModelInferRequest.FromString(message)
    raw = iter(request.raw_input_contents)
    found: dict[str, list[bytes]] = {}
    for one in request.inputs:
        if "shared_memory_region" in one.parameters:
            content = b"shared memory"
        elif one.HasField("contents"):
            content = b"".join(one.contents.bytes_contents)
        else:
            content = next(raw, b"")[4:]
        found.setdefault(c_string(one.name), []).append(content)
    return c_string(request.model_name), found


PARAMETERS = st.dictionaries(
    st.sampled_from(["shared_memory_region", "shared_memory_byte_size", "classification", "priority", "a\0b"]),
    st.builds(pb.InferParameter, string_param=st.sampled_from(["", "region", "a\0b"]))
    | st.builds(pb.InferParameter, int64_param=st.integers(0, 9)),
    max_size=1,
)
CONTENTS = st.none() | st.builds(
    pb.InferTensorContents,
    bytes_contents=st.lists(st.just(FORGED.encode()), max_size=2),
    int_contents=st.lists(st.integers(0, 9), max_size=3),
    bool_contents=st.lists(st.booleans(), max_size=1),
)
TENSORS = st.builds(
    pb.ModelInferRequest.InferInputTensor,
    name=st.sampled_from([*(tensor.name for tensor in INPUTS), *CLAIMS, "other", ""]),
    datatype=st.sampled_from(DATATYPES),
    shape=st.lists(st.integers(-1, 3), max_size=2),
    contents=CONTENTS,
)
RAW = st.sampled_from([element(FORGED), FORGED.encode(), element("{}"), b"\x01", b"\x01\x00\x00\x00", b""])


@st.composite
def any_message(draw: st.DrawFn) -> bytes:
    """Messages that are wrong in every way at once, and the pieces of several after one another."""
    request = pb.ModelInferRequest(
        model_name=draw(st.sampled_from([MODEL, MODEL + "\0x", "other", ""])),
        inputs=draw(st.lists(TENSORS, max_size=4)),
        raw_input_contents=draw(st.lists(RAW, max_size=5)),
    )
    for one in request.inputs:
        for name, value in draw(PARAMETERS).items():
            one.parameters[name].CopyFrom(value)
    for name, value in draw(PARAMETERS).items():
        request.parameters[name].CopyFrom(value)
    return request.SerializeToString() + draw(st.sampled_from([b"", b"\xfa\x3f\x03new"]))


@st.composite
def honest(draw: st.DrawFn) -> Any:
    """A message of our contract; its contents are all raw, or all typed."""
    values = {
        "text_input": ("BYTES", [b"Once"]),
        "input_ids": ("INT32", [1, 2, 3]),
        "stream": ("BOOL", [True]),
        "sampling_parameters": ("BYTES", [b"{}"]),
        "request_options": ("BYTES", [b"{}"]),
    }
    is_raw = draw(st.booleans())
    request = pb.ModelInferRequest(model_name=MODEL, id="1")
    for name in draw(st.lists(st.sampled_from(sorted(values)), unique=True)):
        datatype, elements = values[name]
        tensor = request.inputs.add(name=name, datatype=datatype, shape=[len(elements)])
        if not is_raw:
            field = {"BYTES": "bytes_contents", "INT32": "int_contents", "BOOL": "bool_contents"}[datatype]
            getattr(tensor.contents, field).extend(elements)
        elif datatype == "BYTES":
            request.raw_input_contents.append(element(elements[0].decode()))
        else:
            request.raw_input_contents.append(struct.pack("<3i" if datatype == "INT32" else "?", *elements))
    request.parameters["temperature"].double_param = 0.5
    request.outputs.add(name=draw(st.sampled_from(OUTPUTS)).name)
    return request


@st.composite
def nearly_honest(draw: st.DrawFn) -> bytes:
    """An honest message with one thing wrong, and maybe a second message after it."""
    request = draw(honest())
    fault = draw(st.sampled_from(["surplus", "missing", "repeated", "renamed", "mixed", "region", "none"]))
    if fault == "surplus":
        request.raw_input_contents.insert(draw(st.integers(0, len(request.raw_input_contents))), element(FORGED))
    elif fault == "missing" and request.raw_input_contents:
        del request.raw_input_contents[draw(st.integers(0, len(request.raw_input_contents) - 1))]
    elif fault in {"repeated", "renamed", "mixed", "region"} and request.inputs:
        one = request.inputs[draw(st.integers(0, len(request.inputs) - 1))]
        if fault == "repeated":
            request.inputs.append(one)
        elif fault == "renamed":
            one.name = draw(st.sampled_from(CLAIMS))
        elif fault == "mixed":
            one.contents.bytes_contents.append(FORGED.encode())
        else:
            one.parameters["shared_memory_region"].string_param = "region"
    return bytes(request.SerializeToString())


@settings(max_examples=1000)
@given(st.lists(any_message() | nearly_honest(), min_size=1, max_size=2).map(b"".join))
def test_the_principal_is_the_true_one_whatever_was_sent(content: bytes):
    with contextlib.suppress(RequestError):
        asked = PassedRequest.from_bytes(content)
        model, inputs = as_triton_reads(for_other(asked))
        assert model == asked.model
        assert "principal" not in inputs
        _, inputs = as_triton_reads(in_true_name(asked))
        assert inputs.pop("principal") == [TRUE.encode()]
        assert all(len(contents) == 1 for contents in inputs.values())


@given(honest())
def test_an_honest_message_goes_on_with_all_that_it_says(request: Any):
    content = request.SerializeToString()
    passed = pb.ModelInferRequest.FromString(in_true_name(PassedRequest.from_bytes(content)))
    del passed.inputs[0]
    if passed.raw_input_contents:
        del passed.raw_input_contents[0]
    assert passed == request
    assert as_triton_reads(for_other(PassedRequest.from_bytes(content))) == as_triton_reads(content)


@pytest.mark.parametrize(
    "content",
    [
        pb.ModelInferRequest(inputs=[pb.ModelInferRequest.InferInputTensor(name=str(n)) for n in range(10_000)]),
        pb.ModelInferRequest(raw_input_contents=[b""] * 10_000),
        pb.ModelInferRequest(
            inputs=[pb.ModelInferRequest.InferInputTensor(name="in", datatype="INT32", shape=[1 << 62] * 10_000)],
            raw_input_contents=[b""],
        ),
    ],
    ids=["tensors", "contents", "dimensions"],
)
def test_more_parts_than_anybody_needs_are_refused_before_they_are_looked_at(content: Any):
    with pytest.raises(RequestError):
        PassedRequest.from_bytes(content.SerializeToString())


# Says who asked, as the engine's model would read it.
_PROGRAM = """\
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            if "opens_stream" in request.parameters():
                request.get_response_sender().send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
                continue
            tensors = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
            who = tensors["principal"].flat[0] if "principal" in tensors else b"nobody"
            answer = pb_utils.InferenceResponse([pb_utils.Tensor("text_output", np.array([who], dtype=np.object_))])
            request.get_response_sender().send(answer, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, loop_thread: LoopThread, artefacts: tuple[Path, ...]
) -> Iterator[str]:
    """The address of a gateway before a real Triton, whose model tells the principal."""
    root = tmp_path_factory.mktemp("principal")
    config = configuration(ServedModelSettings(MODEL, Path("/nowhere")))
    with (
        IdentityTriton(root, MODEL, config, _PROGRAM) as server,
        gateway_before(server, loop_thread, artefacts) as address,
    ):
        yield address


def ask(stub: Any, content: Any) -> str | None:
    """Who the model says it was asked by; None if it was not asked."""
    answers = [one for one in stub.ModelStreamInfer(iter([content])) if one.error_message or one.infer_response.outputs]
    (answer,) = answers
    return None if answer.error_message else answer.infer_response.raw_output_contents[0][4:].decode()


def request(*, raw: int = 1, model: str = MODEL, names: tuple[str, ...] = ("text_input",), typed: bool = False) -> Any:
    """A message with these inputs, and so many raw contents that forge the principal."""
    made = pb.ModelInferRequest(model_name=model)
    for name in names:
        tensor = made.inputs.add(name=name, datatype="BYTES", shape=[1])
        if typed:
            tensor.contents.bytes_contents.append(FORGED.encode())
    made.raw_input_contents.extend([element(FORGED)] * raw)
    return made


@pytest.mark.triton
def test_a_real_triton_is_told_the_true_principal_or_nothing(gateway: str):
    with grpc.insecure_channel(gateway) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        assert ask(stub, request()) == "local"
        assert ask(stub, request(raw=0, typed=True)) == "local"
        assert ask(stub, request(raw=0, names=())) == "local"
        for forged in (
            request(raw=2),
            request(raw=0),
            request(raw=1, typed=True),
            request(raw=2, names=("text_input", "text_input")),
            request(names=("principal",)),
            request(names=("principal\0",)),
            request(model=MODEL + "\0x"),
        ):
            assert ask(stub, forged) is None
        assert ask(stub, request()) == "local"


@pytest.mark.triton
def test_a_models_configuration_says_nothing_of_the_box(gateway: str):
    with grpc.insecure_channel(gateway) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        config = stub.ModelConfig(pb.ModelConfigRequest(name=MODEL)).config
    assert config.model_transaction_policy.decoupled
    assert [one.name for one in config.input] == [tensor.name for tensor in INPUTS]
    assert not config.parameters
    assert "/nowhere" not in str(config)
