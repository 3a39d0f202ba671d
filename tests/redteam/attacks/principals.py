"""To act as somebody else: the prefix cache tells whose prompts an answer was computed with."""

from __future__ import annotations

import http.client
import json
import random
import struct
from collections.abc import Iterator
from typing import Any

import grpc
from tritonclient.grpc import service_pb2 as pb

from tests.redteam.attack import Attack, Broke, expect
from tests.redteam.box import AttackedBox
from tests.redteam.client import Client

# Enough for the cache to keep it, and ids that every tokenizer has.
_PROMPT_TOKENS, _FIRST_ID, _LAST_ID = 300, 10, 250
_CLAIMS = ("principal", "principal\0", "principal\0x", "Principal", " principal")
_FORGED_BODIES = (
    '{"principal": "%s"}',
    '{"parameters": {"principal": "%s"}}',
    '{"pr\\u0069ncipal": "%s"}',
    '{"parameters": {"pr\\u0069ncipal": "%s"}}',
    '{"parameters": {"parameters": {"principal": "%s"}}}',
    '{"principal\\u0000": "%s"}',
    '{"text_input": [{"principal": "%s"}]}',
)
_CONTROL = {
    "RepositoryModelLoad": pb.RepositoryModelLoadRequest,
    "RepositoryModelUnload": pb.RepositoryModelUnloadRequest,
    "RepositoryIndex": pb.RepositoryIndexRequest,
    "SystemSharedMemoryRegister": pb.SystemSharedMemoryRegisterRequest,
    "SystemSharedMemoryStatus": pb.SystemSharedMemoryStatusRequest,
    "CudaSharedMemoryRegister": pb.CudaSharedMemoryRegisterRequest,
    "TraceSetting": pb.TraceSettingRequest,
    "LogSettings": pb.LogSettingsRequest,
    "ModelStatistics": pb.ModelStatisticsRequest,
}
_CONTROL_PATHS = (
    *("repository/index", "repository/models/%s/load", "repository/models/%s/unload", "logging", "trace/setting"),
    *("systemsharedmemory/status", "systemsharedmemory/region/a/register", "cudasharedmemory/region/a/register"),
    "models/%s/trace/setting",
)


def _element(text: str) -> bytes:
    return struct.pack("<I", len(text.encode())) + text.encode()


def _prompt(chance: random.Random) -> list[int]:
    return [chance.randrange(_FIRST_ID, _LAST_ID) for _ in range(_PROMPT_TOKENS)]


def _honest(model: str, ids: list[int]) -> Any:
    request = pb.ModelInferRequest(model_name=model, id="1")
    for name, datatype, size in (("input_ids", "INT32", len(ids)), ("sampling_parameters", "BYTES", 1)):
        request.inputs.add(name=name, datatype=datatype, shape=[size])
    settings = json.dumps({"max_tokens": 1, "temperature": 0})
    request.raw_input_contents.extend([struct.pack(f"<{len(ids)}i", *ids), _element(settings)])
    return request


def _typed(model: str, ids: list[int]) -> Any:
    request = pb.ModelInferRequest(model_name=model)
    request.inputs.add(name="input_ids", datatype="INT32", shape=[len(ids)]).contents.int_contents.extend(ids)
    settings = request.inputs.add(name="sampling_parameters", datatype="BYTES", shape=[1])
    settings.contents.bytes_contents.append(b'{"max_tokens": 1, "temperature": 0}')
    return request


def _forged(model: str, claim: str, ids: list[int]) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every way to claim another principal."""
    for at in range(3):
        request = _honest(model, ids)
        request.raw_input_contents.insert(at, _element(claim))
        yield f"a surplus content at {at}", request.SerializeToString()
    for name in _CLAIMS:
        request = _honest(model, ids)
        request.inputs.add(name=name, datatype="BYTES", shape=[1])
        request.raw_input_contents.append(_element(claim))
        yield f"{name!r}, raw", request.SerializeToString()
        request = _typed(model, ids)
        request.inputs.add(name=name, datatype="BYTES", shape=[1]).contents.bytes_contents.append(claim.encode())
        yield f"{name!r}, typed", request.SerializeToString()
        request = _honest(model, ids)
        request.parameters[name].string_param = claim
        yield f"{name!r} as a parameter", request.SerializeToString()
    request = _honest(model, ids)
    request.inputs[0].parameters["principal"].string_param = claim
    yield "a parameter of an input", request.SerializeToString()
    request = _typed(model, ids)
    request.raw_input_contents.append(_element(claim))
    yield "typed contents and a raw one", request.SerializeToString()
    request = _honest(model, ids)
    request.inputs.append(request.inputs[1])
    request.raw_input_contents.append(_element(claim))
    yield "an input twice", request.SerializeToString()
    request = _honest(model, ids)
    request.inputs[1].parameters["shared_memory_region"].string_param = "region"
    request.raw_input_contents.append(_element(claim))
    yield "a content that shared memory sets free", request.SerializeToString()
    second = pb.ModelInferRequest(raw_input_contents=[_element(claim)]).SerializeToString()
    yield "two messages in one", _honest(model, ids).SerializeToString() + second
    request = _honest(model + "\0x", ids)
    request.raw_input_contents.append(_element(claim))
    yield "a model's name with a NUL", request.SerializeToString()


def _cached(client: Client, message: Any) -> int | None:
    """How many tokens of the prompt the cache had; None if it was refused."""
    error, answer = client.infer(message)
    if error or answer is None:
        return None
    names = [one.name for one in answer.outputs]
    return int(json.loads(answer.raw_output_contents[names.index("usage")][4:])["cached_tokens"])


def over_kserve(box: AttackedBox) -> str:
    """The victim asks something new; the attacker, in the victim's name, would find it in the cache."""
    chance = random.Random(box.seed)
    ids = _prompt(chance)
    _cached(box.victim, _honest(box.model, ids))
    own = _cached(box.victim, _honest(box.model, ids))
    expect(own, f"the cache shows nothing: {own}")
    refused = tried = 0
    for number in range(len(list(_forged(box.model, "", ids)))):
        ids = _prompt(chance)
        _cached(box.victim, _honest(box.model, ids))
        name, content = list(_forged(box.model, box.victim.principal, ids))[number]
        cached = _cached(box.attacker, content)
        expect(not cached, f"{name}: {cached} tokens of the victim's prompt were found in the cache")
        unary = box.attacker.kserve("ModelInfer", content)
        # Our model answers in pieces, so that Triton refuses it to unary calls.
        expect(unary.code is not grpc.StatusCode.UNAVAILABLE, f"{name}, unary: {unary.details}")
        refused += cached is None
        tried += 1
    return f"the victim finds {own} tokens again, the attacker 0 with {tried} forgeries, {refused} of them refused"


def over_triton_http(box: AttackedBox) -> str:
    """Bodies that name a principal, spelt in every way; and everything without a key."""
    path = f"/v2/models/{box.model}/generate"
    tried = 0
    for form in _FORGED_BODIES:
        for more in ("", '"text_input": "a", '):
            body = (form % box.victim.principal).replace("{", "{" + more, 1)
            answer = box.attacker.ask("POST", path, body.encode(), address=box.triton_http)
            expect(400 <= answer.status < 500, f"{body}: {answer}")
            tried += 1
    return f"{tried} bodies refused"


def without_a_key(box: AttackedBox) -> str:
    """Every way in, without a key and with a wrong one."""
    tried = 0
    for key in (None, "apl_x_y", box.attacker.key[:-1], f"{box.attacker.key}0", "ü"):
        client = box.client(None)
        client.key = key and key.encode().decode("latin-1")
        answers = [
            client.post("/v1/completions", prompt="a", max_tokens=1),
            client.post("/v1/messages", messages=[], max_tokens=1),
            client.get("/v1/models"),
            client.get("/metrics"),
            client.ask("POST", f"/v2/models/{box.model}/generate", b"{}", address=box.triton_http),
            client.get("/v2", address=box.triton_http),
        ]
        for answer in answers:
            expect(answer.status in {http.client.UNAUTHORIZED, http.client.BAD_REQUEST}, f"with {key!r}: {answer}")
        if key is None or (key.isascii() and key.isprintable()):
            call = client.kserve("ModelStreamInfer", _honest(box.model, [1]))
            code = call.code if not call.answers else grpc.StatusCode.OK
            expect(code is grpc.StatusCode.UNAUTHENTICATED, f"with {key!r}: {call}")
        tried += len(answers)
    return f"{tried} requests refused"


def administration(box: AttackedBox) -> str:
    """Model control, shared memory, logging and tracing, past the gateway's rules and past the gateway."""
    for name, kind in _CONTROL.items():
        call = box.attacker.kserve(name, kind())
        expect(call.code is not grpc.StatusCode.OK, f"{name} was answered")
    for path in _CONTROL_PATHS:
        place = "/v2/" + path.replace("%s", box.model)
        for method in ("GET", "POST"):
            answer = box.attacker.ask(method, place, b"{}", address=box.triton_http)
            expect(answer.status == http.client.FORBIDDEN, f"{method} {place}: {answer}")
    load = pb.RepositoryModelLoadRequest(model_name="x")
    load.parameters["config"].string_param = "{}"
    load.parameters["file:1/model.py"].bytes_param = b"raise SystemExit"
    with grpc.insecure_channel(box.triton) as channel:
        call = box.attacker.call(
            "/inference.GRPCInferenceService/RepositoryModelLoad", [load.SerializeToString()], channel=channel
        )
    if call.code is grpc.StatusCode.OK:
        raise Broke("Triton itself loads models")
    return f"{len(_CONTROL)} calls and {len(_CONTROL_PATHS)} paths refused; Triton itself: {call.details[:60]}"


ATTACKS = (
    Attack("forged principals over KServe", "R1", over_kserve),
    Attack("forged principals over Triton's HTTP API", "R1 R5", over_triton_http),
    Attack("no key and wrong keys", "R5", without_a_key),
    Attack("administration of Triton", "R4 R5", administration),
)
