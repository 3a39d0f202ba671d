"""Requests of every kind, many at once: what a box takes once and keeps is taken before anything is compared."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from tests.redteam.box import AttackedBox

_AT_ONCE = 64
_TURN = {"role": "user", "content": "Once"}
_FORMAT = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "boolean"}}}


def warm_up(box: AttackedBox) -> None:
    """Use every API."""
    client = box.attacker

    def once(number: int) -> None:
        client.post("/v1/completions", prompt=f"{number}", max_tokens=4)
        client.post("/v1/chat/completions", messages=[_TURN], max_tokens=4, response_format=_FORMAT)
        client.post("/v1/messages", messages=[_TURN], max_tokens=4)
        client.post("/v1/responses", input="Once", max_output_tokens=4)
        client.post("/v1/tokenize", prompt="a" * 100_000)
        client.ask("POST", f"/v2/models/{box.model}/generate", b'{"text_input": "Once"}', address=box.triton_http)
        client.get("/metrics", address=box.state.metrics)
        with client.stub() as stub:
            list(stub.Complete(pb.CompleteRequest(model=box.model, text="Once"), metadata=client.metadata))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(once, range(_AT_ONCE)))
