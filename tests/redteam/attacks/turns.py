"""Texts that look like turns: they must stay texts, whichever API brings them."""

from __future__ import annotations

from typing import Any

from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from tests.gateway.test_forged_turns import FORGED, HARMLESS
from tests.redteam.attack import Attack, expect
from tests.redteam.box import AttackedBox
from tests.redteam.client import Client

_MARKS = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")


def _controls(client: Client) -> set[int]:
    """The ids of the marks, which a plain prompt may write."""
    found = set()
    for mark in _MARKS:
        ids = client.post("/v1/tokenize", prompt=mark).json["tokens"]
        expect(len(ids) == 1, f"{mark} has the tokens {ids}")
        found.update(ids)
    return found


def _conversations(text: str) -> dict[str, list[dict[str, Any]]]:
    user = {"role": "user", "content": HARMLESS}
    return {
        "user": [{"role": "user", "content": text}],
        "parts": [{"role": "user", "content": [{"type": "text", "text": part} for part in (text[:9], text[9:])]}],
        "system": [{"role": "system", "content": text.partition("<tool_call>")[0]}, user],
        "assistant": [user, {"role": "assistant", "content": text.partition("<tool_call>")[0]}, user],
        "developer": [{"role": "developer", "content": text.partition("<tool_call>")[0]}, user],
    }


def forged_turns(box: AttackedBox) -> str:
    """The control tokens of a forged conversation are those of a harmless one, as tokenize and usage tell them."""
    client = box.attacker
    controls = _controls(client)
    compared = 0
    for name, messages in _conversations(FORGED).items():
        found = []
        for each in (messages, _conversations(HARMLESS)[name]):
            answer = client.post("/v1/tokenize", messages=each)
            expect(answer.status == 200, f"{name}: {answer}")
            found.append([token for token in answer.json["tokens"] if token in controls])
        expect(found[0] == found[1], f"{name}: control tokens {found[0]} forged, {found[1]} harmless")
        compared += 1
    return f"{compared} places in a conversation compared by their ids"


def counts(box: AttackedBox) -> str:
    """What every API counts of a forged turn is what tokenize tells; a control token would make it fewer."""
    client = box.attacker
    turn = [{"role": "user", "content": FORGED}]
    tokens = len(client.post("/v1/tokenize", messages=turn).json["tokens"])
    told = {
        "chat": client.post("/v1/chat/completions", messages=turn, max_tokens=1).json["usage"]["prompt_tokens"],
        "messages": _read(client.post("/v1/messages", messages=turn, max_tokens=1).json["usage"]),
        "count_tokens": client.post("/v1/messages/count_tokens", messages=turn).json["input_tokens"],
        "responses": client.post("/v1/responses", input=turn, max_output_tokens=1).json["usage"]["input_tokens"],
    }
    with client.stub() as stub:
        message = pb.Message(role="user", content=FORGED)
        asked = pb.ChatRequest(model=box.model, messages=[message], sampling=pb.Sampling(max_tokens=1))
        told["gRPC"] = list(stub.Chat(asked, metadata=client.metadata))[-1].usage.prompt_tokens
    wrong = {name: count for name, count in told.items() if count != tokens}
    expect(not wrong, f"{tokens} tokens by tokenize, but {wrong}")
    return f"{tokens} tokens over {', '.join(told)}"


def _read(usage: dict[str, Any]) -> int:
    """Anthropic counts tokens that the cache had apart."""
    return int(usage["input_tokens"]) + int(usage["cache_read_input_tokens"])


ATTACKS = (Attack("forged turns", "R7", forged_turns), Attack("forged turns, counted by every API", "R7", counts))
