"""The gRPC schema as a promise: what is published stays, stubs come with the wheel, reflection alone is enough."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FileDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from appliance.gateway.proto.appliance.v1 import inference_pb2
from tests.gateway.fake_triton import words

ROOT = Path(__file__).parents[2]
PROMISE = ROOT / "tests" / "golden" / "appliance.v1.txt"


def promises(schema: FileDescriptor) -> Iterator[str]:
    """One line for everything that a client's stubs depend on."""
    for service in schema.services_by_name.values():
        for method in service.methods:
            arrow = "-> stream" if method.server_streaming else "->"
            types = f"{method.input_type.full_name} {arrow} {method.output_type.full_name}"
            yield f"{service.full_name}/{method.name}: {types}"
    for message in schema.message_types_by_name.values():
        yield from _fields(message)
    for enum in schema.enum_types_by_name.values():
        yield from _values(enum)


def _fields(message: Descriptor) -> Iterator[str]:
    for field in message.fields:
        kind = field.message_type or field.enum_type
        many = "repeated " if field.is_repeated else ""
        name = kind.full_name if kind else f"type {field.type}"
        group = f" in {field.containing_oneof.name}" if field.containing_oneof else ""
        yield f"{message.full_name} {field.number}: {many}{name} {field.name}{group}"
    for nested in message.nested_types:
        yield from _fields(nested)


def _values(enum: EnumDescriptor) -> Iterator[str]:
    for value in enum.values:
        yield f"{enum.full_name} {value.number}: {value.name}"


def test_nothing_that_was_published_is_taken_back_and_all_that_is_new_is_written_down():
    kept = PROMISE.read_text(encoding="utf-8").splitlines()
    now = list(promises(inference_pb2.DESCRIPTOR))
    assert set(kept) - set(now) == set(), "within v1 fields keep number, name and type: add a new one instead"
    assert set(now) - set(kept) == set(), f"append to {PROMISE.name}: from now on it is a promise"


def test_the_check_sees_a_field_that_changed_its_number():
    now = list(promises(inference_pb2.DESCRIPTOR))
    assert "appliance.v1.ChatRequest 1: type 9 model" in now
    assert len(now) == len(set(now))


def test_a_client_that_knows_nothing_but_reflection_can_chat_and_tokenise(harness):
    harness.triton.script = words("Hel", "lo")
    with grpc.insecure_channel(harness.grpc_address) as channel:
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        service = pool.FindServiceByName("appliance.v1.InferenceService")

        def call(name, **fields):
            method = service.FindMethodByName(name)
            start = channel.unary_stream if method.server_streaming else channel.unary_unary
            made = start(
                f"/{service.full_name}/{name}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=GetMessageClass(method.output_type).FromString,
            )
            return made(GetMessageClass(method.input_type)(**fields))

        turns = [{"role": "user", "content": "Hi"}]
        chunks = list(call("Chat", model="tiny-instruct", messages=turns, sampling={"max_tokens": 4}))
        ids = call("Tokenize", model="tiny-instruct", conversation={"messages": turns}).token_ids
        names = [model.name for model in call("ListModels").models]
    assert "".join(chunk.text for chunk in chunks) == "Hello"
    assert list(ids) == list(harness.triton.asked[0].prompt_ids)
    assert names == ["tiny-instruct", "tiny-base", "tiny-talker"]


def test_reflection_and_health_know_kserve_too(harness):
    with grpc.insecure_channel(harness.grpc_address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert {"appliance.v1.InferenceService", "inference.GRPCInferenceService"} <= set(database.get_services())
        assert DescriptorPool(database).FindServiceByName("inference.GRPCInferenceService")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_brings_schema_stubs_and_types(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    folder = "appliance/gateway/proto/appliance/v1/"
    for name in ("inference.proto", "inference_pb2.py", "inference_pb2.pyi", "inference_pb2_grpc.py"):
        assert folder + name in names


def test_the_wheels_stubs_talk_to_the_box(wheel: Path, harness, tmp_path: Path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "unpacked")
    program = """
import sys
import grpc
from appliance.gateway.proto.appliance.v1 import inference_pb2, inference_pb2_grpc
print(inference_pb2.__file__)
with grpc.insecure_channel(sys.argv[1]) as channel:
    stub = inference_pb2_grpc.InferenceServiceStub(channel)
    for chunk in stub.Complete(inference_pb2.CompleteRequest(model="tiny-instruct", text="a")):
        print(chunk.text)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program, harness.grpc_address],
        # The wheel's packages come before those of this folder.
        env={**os.environ, "PYTHONPATH": str(tmp_path / "unpacked")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    where, *texts = ran.stdout.split()
    assert where.startswith(str(tmp_path))
    assert texts == ["Hello", "world"]
