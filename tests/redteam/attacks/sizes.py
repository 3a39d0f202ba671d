"""Requests that are large in one way, and numbers that are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tritonclient.grpc import service_pb2 as pb

from appliance.gateway.proto.appliance.v1 import inference_pb2
from bench import pauses
from tests.gateway.test_any_number import FIELDS, PLACES
from tests.redteam.attack import Attack, expect
from tests.redteam.box import AttackedBox

_LONG = 3_900_000
_DEPTH = 100_000
_NUMBERS = ("1" + "0" * 400, "-1" + "0" * 400, "1e400", "-9223372036854775809", "1e39")
_TURN = {"role": "user", "content": "a"}
# Which endpoint takes the body of a name, and what it needs beside the number.
_ENDPOINTS: dict[str, tuple[str, dict[str, Any]]] = {
    "ChatBody": ("/v1/chat/completions", {"messages": [_TURN], "max_tokens": 1}),
    "CompletionBody": ("/v1/completions", {"prompt": "a", "max_tokens": 1}),
    "ResponseBody": ("/v1/responses", {"input": "a", "max_output_tokens": 16}),
    "MessagesBody": ("/v1/messages", {"messages": [_TURN], "max_tokens": 1}),
    "CountBody": ("/v1/messages/count_tokens", {"messages": [_TURN]}),
    "TokenizeBody": ("/v1/tokenize", {"prompt": "a"}),
    "DetokenizeBody": ("/v1/detokenize", {"tokens": []}),
    "EmbeddingBody": ("/v1/embeddings", {}),
    "OllamaChatBody": ("/api/chat", {"messages": [_TURN], "options": {"num_predict": 1}}),
    "GenerateBody": ("/api/generate", {"prompt": "a", "options": {"num_predict": 1}}),
    "EmbedBody": ("/api/embed", {}),
    "DecisionBody": ("/v1/decisions", {"input": "a", "questions": [{"type": "predicate", "instructions": "a"}]}),
    "RerankBody": ("/v1/rerank", {"query": "a", "documents": ["a"]}),
    "ScoreBody": ("/v1/score", {"text_1": "a", "text_2": "a"}),
}


def _deep() -> Iterator[tuple[str, bytes]]:
    yield "lists", b"[" * _DEPTH
    yield "closed lists", b"[" * _DEPTH + b"]" * _DEPTH
    yield "objects", b'{"a":' * _DEPTH
    yield "objects in messages", b'{"messages":' + b'[{"content":' * _DEPTH
    yield "lists side by side", b'{"a":[' + b",".join([b"[]"] * (_LONG // 3)) + b"]}"
    yield "escapes", b'{"a":"' + b'\\"' * (_LONG // 2) + b'"}'
    yield "a number", b'{"a":' + b"9" * _LONG + b"}"
    yield "bytes that are no text", b'{"model":"' + b"\xff" * 1000 + b'"}'
    yield "half of a surrogate", b'{"model":"\\ud800","messages":"\\udfff"}'
    yield "NUL", b"\0" * 1000


def bodies(box: AttackedBox) -> str:
    """Huge texts, many turns, many ids: an answer or a refusal."""
    seen: Counter[int] = Counter()
    for name, path, fields in pauses._bodies():
        answer = box.attacker.ask("POST", path, json.dumps({"model": box.model, **fields}).encode())
        expect(answer.status < 500, f"{name}: {answer}")
        seen[answer.status] += 1
    for name, content in _deep():
        for path, _ in _ENDPOINTS.values():
            answer = box.attacker.ask("POST", path, content)
            expect(400 <= answer.status < 500, f"{name} to {path}: {answer}")
            seen[answer.status] += 1
    bias = {str(token): 1 for token in range(100_000)}
    answer = box.attacker.post("/v1/completions", prompt="a", max_tokens=1, logit_bias=bias)
    expect(answer.status == 400, f"100,000 biases: {answer}")
    return f"answered {_statuses(seen)}"


def _statuses(seen: Counter[int]) -> str:
    return ", ".join(f"{status} {count} times" for status, count in sorted(seen.items()))


def over_grpc(box: AttackedBox) -> str:
    """The same by KServe and by our own calls."""
    client = box.attacker
    settings = '{"a":[' + ",".join(["[]"] * 1_000_000) + "]}"
    tried = {
        "text": {"text_input": "a" * _LONG},
        "settings": {"text_input": "a", "sampling_parameters": settings},
        "deep settings": {"text_input": "a", "sampling_parameters": "[" * _DEPTH},
        "deep options": {"text_input": "a", "request_options": '{"timeout_s":' * _DEPTH},
        "a number": {"text_input": "a", "sampling_parameters": '{"max_tokens": 1' + "0" * 5000 + "}"},
    }
    for name, texts in tried.items():
        request = pb.ModelInferRequest(model_name=box.model)
        for tensor, text in texts.items():
            request.inputs.add(name=tensor, datatype="BYTES", shape=[1]).contents.bytes_contents.append(text.encode())
        error, _ = client.infer(request)
        expect(error and "Error" in error and "InternalError" not in error, f"{name}: {error or 'answered'}")
    for name, message in {
        "a text": inference_pb2.CompleteRequest(model=box.model, text="a" * _LONG),
        "ids": inference_pb2.CompleteRequest(model=box.model, token_ids=inference_pb2.TokenIds(ids=[1] * 500_000)),
        "turns": inference_pb2.ChatRequest(model=box.model, messages=[inference_pb2.Message(role="user")] * 500_000),
    }.items():
        method = "Chat" if name == "turns" else "Complete"
        call = client.call(f"/appliance.v1.InferenceService/{method}", [message.SerializeToString()])
        expect(call.code.name in {"INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"}, f"{name}: {call.code} {call.details}")
    return f"{len(tried) + 3} messages refused"


def numbers(box: AttackedBox) -> str:
    """Numbers of 400 digits, infinite ones and others, wherever a parameter of any endpoint takes a value."""
    seen: Counter[int] = Counter()
    for index, (kind, name) in enumerate(FIELDS):
        if kind.__name__ not in _ENDPOINTS:
            continue
        path, needed = _ENDPOINTS[kind.__name__]
        fixed = json.dumps({field: value for field, value in {"model": box.model, **needed}.items() if field != name})
        for number in _NUMBERS:
            place = PLACES[index % 3] % number
            answer = box.attacker.ask("POST", path, f'{fixed[:-1]}, "{name}": {place}}}'.encode())
            expect(answer.status < 500, f"{path}, {name} = {place[:30]}: {answer}")
            seen[answer.status] += 1
    return f"answered {_statuses(seen)}"


ATTACKS = (
    Attack("bodies that are large in one way", "R3", bodies),
    Attack("messages that are large in one way", "R3", over_grpc),
    Attack("huge numbers", "R14", numbers),
)
