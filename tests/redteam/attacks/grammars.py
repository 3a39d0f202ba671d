"""Grammars that cost too much to compile or to use, by every API that takes one; the client stays, or leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tritonclient.grpc import service_pb2 as pb

from tests.engine.test_grammar_client import AMBIGUOUS, MULTIPLE, NOISE
from tests.processes import forks
from tests.redteam.attack import Attack, expect
from tests.redteam.box import AttackedBox
from tests.triton.test_grammars_on_a_box import CANNOT_BE_HELD, REFUSALS
from tests.waiting import wait_until

_BOMBS = {"patterns": NOISE, "multipleOf": MULTIPLE}
_TURN = {"role": "user", "content": "x"}
_HOST = "appliance.engine.grammar_host"


def _asked(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Path and body of each API over HTTP."""
    named = {"name": "x", "schema": schema}
    short = {"messages": [_TURN], "max_tokens": 4}
    yield "/v1/chat/completions", {**short, "response_format": {"type": "json_schema", "json_schema": named}}
    yield "/v1/messages", {**short, "output_config": {"format": {"type": "json_schema", "schema": schema}}}
    text = {"format": {"type": "json_schema", **named}}
    yield "/v1/responses", {"input": "x", "max_output_tokens": 16, "text": text}


def _kserve(model: str, **wanted: Any) -> Any:
    request = pb.ModelInferRequest(model_name=model)
    settings = json.dumps({"max_tokens": 4, "structured_outputs": wanted}).encode()
    for name, content in (("text_input", b"x"), ("sampling_parameters", settings)):
        request.inputs.add(name=name, datatype="BYTES", shape=[1]).contents.bytes_contents.append(content)
    return request


def _grammars(box: AttackedBox) -> list[int]:
    """The programs that compile or use a grammar now: the host's children, forked from it."""
    return [process.pid for process in forks(box.process.pid, _HOST)]


def clients_that_wait(box: AttackedBox) -> str:
    """Each is refused by the limit that it passed, and nothing of it is left."""
    client = box.attacker

    def post(name: str, path: str, body: dict[str, Any]) -> str:
        answer = client.post(path, **body)
        expect(answer.status == 400, f"{name} by {path}: {answer}")
        return path

    def infer(name: str, wanted: dict[str, Any]) -> str:
        error, _ = client.infer(_kserve(box.model, **wanted))
        expect("RequestError" in error, f"{name} by KServe: {error or 'answered'}")
        return "KServe"

    with ThreadPoolExecutor(8) as pool:
        tried = [
            pool.submit(post, name, path, body) for name, schema in _BOMBS.items() for path, body in _asked(schema)
        ]
        tried += [pool.submit(infer, name, {"json": schema}) for name, schema in _BOMBS.items()]
        done = [one.result() for one in tried]
    wait_until(lambda: not _grammars(box))
    return f"{len(done)} bombs by {len(set(done))} APIs, each a 400"


def ambiguous(box: AttackedBox) -> str:
    """A grammar whose masks cost much, for an answer as long as may be."""
    request = _kserve(box.model, grammar=AMBIGUOUS)
    del request.inputs[1].contents.bytes_contents[:]
    settings = {"max_tokens": 200, "ignore_eos": True, "structured_outputs": {"grammar": AMBIGUOUS}}
    request.inputs[1].contents.bytes_contents.append(json.dumps(settings).encode())
    with ThreadPoolExecutor(4) as pool:
        errors = {error for error, _ in pool.map(lambda _: box.attacker.infer(request), range(4))}
    expect(all(not error or "RequestError" in error for error in errors), f"{errors}")
    wait_until(lambda: not _grammars(box))
    return f"4 at once: {' and '.join(error[:80] or 'answered' for error in errors)}"


def clients_that_leave(box: AttackedBox) -> str:
    """They hang up while it is compiled."""
    client = box.attacker
    for schema in _BOMBS.values():
        for path, body in _asked(schema):
            with client.connect(client.request(path, **body)):
                wait_until(lambda: _grammars(box))
            wait_until(lambda: not _grammars(box))
    return "6 compiles ended with their clients"


def many_refusals(box: AttackedBox) -> str:
    """Schemas that cannot be held, one after the other."""
    for _ in range(REFUSALS):
        for path, body in _asked(CANNOT_BE_HELD):
            answer = box.attacker.post(path, **body)
            expect(answer.status in {200, 400}, f"{path}: {answer}")
    return f"{3 * REFUSALS} refusals"


ATTACKS = (
    Attack("schemas that cost too much", "R2", clients_that_wait),
    Attack("schemas that cost too much, from clients that leave", "R2", clients_that_leave),
    Attack("an ambiguous grammar", "R2", ambiguous),
    Attack("schemas that cannot be held", "C3", many_refusals),
)
