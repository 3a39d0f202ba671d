"""Messages of gRPC, ours and KServe's with its tensors: valid ones with changes."""

from __future__ import annotations

import json
import random
import struct
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import grpc
from tritonclient.grpc import service_pb2 as kserve

from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.inference.tensors import INPUTS
from tests.redteam.attack import Attack, expect
from tests.redteam.box import AttackedBox
from tests.redteam.mutation import mutant

_OURS, _KSERVE = "/appliance.v1.InferenceService/", "/inference.GRPCInferenceService/"
# What a client is told of its own fault, and of a full box. INTERNAL is gRPC's word for bytes that are no message, too.
_ALLOWED = {
    *(grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNIMPLEMENTED),
    *(grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.FAILED_PRECONDITION),
    *(grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.DEADLINE_EXCEEDED),
}
_NO_MESSAGE = "Exception deserializing request"


def attack(seconds: float) -> Attack:
    """The attack, for so long."""
    return Attack("fuzz: messages of gRPC", "R1 R14", lambda box: _run(box, seconds))


def _tensors(model: str, *, typed: bool) -> Any:
    request = kserve.ModelInferRequest(model_name=model, id="1")
    values: dict[str, tuple[str, Any]] = {
        "input_ids": ("INT32", [1, 2, 3]),
        "sampling_parameters": ("BYTES", [json.dumps({"max_tokens": 2, "seed": 1, "top_k": 5}).encode()]),
        "request_options": ("BYTES", [b'{"timeout_s": 20}']),
        "stream": ("BOOL", [True]),
    }
    for name, (datatype, elements) in values.items():
        tensor = request.inputs.add(name=name, datatype=datatype, shape=[len(elements)])
        if typed:
            field = {"BYTES": "bytes_contents", "INT32": "int_contents", "BOOL": "bool_contents"}[datatype]
            getattr(tensor.contents, field).extend(elements)
        else:
            raw = {"INT32": lambda v: struct.pack("<3i", *v), "BOOL": lambda v: struct.pack("?", *v)}
            text = lambda v: struct.pack("<I", len(v[0])) + v[0]  # noqa: E731
            request.raw_input_contents.append(raw.get(datatype, text)(elements))
    return request


def _valid(model: str) -> Iterator[tuple[str, bytes]]:
    sampling = pb.Sampling(max_tokens=2, temperature=0.5, logit_bias={65: 1.0}, stop=["x"], seed=1, logprobs=1)
    turns = [pb.Message(role="user", content="a")]
    ours = {
        "Chat": pb.ChatRequest(model=model, messages=turns, sampling=sampling),
        "Complete": pb.CompleteRequest(model=model, token_ids=pb.TokenIds(ids=[1, 2]), sampling=sampling),
        "Tokenize": pb.TokenizeRequest(model=model, conversation=pb.Conversation(messages=turns)),
        "Detokenize": pb.DetokenizeRequest(model=model, token_ids=[1, 2]),
        "ListModels": pb.ListModelsRequest(),
    }
    for name, message in ours.items():
        yield _OURS + name, message.SerializeToString()
    for typed in (True, False):
        for method in ("ModelStreamInfer", "ModelInfer"):
            yield _KSERVE + method, _tensors(model, typed=typed).SerializeToString()
    for name in ("ModelMetadata", "ModelConfig", "ModelReady"):
        yield _KSERVE + name, kserve.ModelConfigRequest(name=model, version="1").SerializeToString()


def _retyped(content: bytes, chance: random.Random) -> bytes:
    """A KServe message whose tensors are others than they say."""
    request = kserve.ModelInferRequest.FromString(content)
    one = chance.choice(request.inputs)
    change = chance.randrange(5)
    if change == 0:
        one.datatype = chance.choice(("BYTES", "INT32", "BOOL", "FP64", "UINT8", "x", ""))
    elif change == 1:
        one.shape[:] = chance.choice(([], [0], [-1], [1 << 62], [1, 1], [3], [1 << 32, 1 << 32]))
    elif change == 2:
        one.name = chance.choice([tensor.name for tensor in INPUTS] + ["x", "", "stream\0"])
    elif change == 3 and request.raw_input_contents:
        at = chance.randrange(len(request.raw_input_contents))
        request.raw_input_contents[at] = chance.choice(
            (b"", b"\xff" * 8, struct.pack("<I", 1 << 31) + b"a", b"\0" * 1024)
        )
    else:
        request.inputs.append(one)
    return bytes(request.SerializeToString())


def _run(box: AttackedBox, seconds: float) -> str:
    chance, client = random.Random(box.seed), box.attacker
    ends = time.monotonic() + seconds
    seen: Counter[str] = Counter()
    valid = list(_valid(box.model))
    with client.channel() as channel:
        while time.monotonic() < ends:
            method, content = chance.choice(valid)
            changed = content
            if method.endswith("Infer") and chance.random() < 0.5:
                changed = _retyped(content, chance)
            if changed is content or chance.random() < 0.3:
                _, changed = mutant(changed, chance)
            call = client.call(method, [changed], channel=channel)
            is_allowed = call.code in _ALLOWED or _NO_MESSAGE in call.details
            expect(is_allowed, f"{method} {changed.hex()[:2000]} got {call.code.name}: {call.details[:300]}")
            seen[call.code.name] += 1
    return f"{sum(seen.values())} messages: " + ", ".join(f"{code} {count}" for code, count in sorted(seen.items()))
