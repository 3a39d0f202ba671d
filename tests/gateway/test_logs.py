"""The log of a gateway that meets odd requests: an id in every line about one, and nothing of what was said."""

from __future__ import annotations

import io
import json
import logging

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc

from appliance.gateway import access_log
from appliance.gateway.chat.served_model import ServedModel
from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.gateway.proto.appliance.v1.inference_pb2_grpc import InferenceServiceStub
from tests.gateway.fake_triton import failure, piece, words
from tests.waiting import LIMIT_S, wait_until

MARK = "xyzzy-plugh"
MODEL = "tiny-instruct"
TURN = {"role": "user", "content": MARK}
CHAT = {"model": MODEL, "messages": [TURN]}
PATHS = {"/v1/chat/completions": CHAT, "/v1/completions": {"model": MODEL, "prompt": MARK}}


@pytest.fixture
def log(caplog):
    """What the gateway's process writes to standard error."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(access_log.JsonFormatter())
    caplog.set_level(logging.INFO, logger="appliance.gateway")
    root = logging.getLogger()
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)


@pytest.fixture
def box(make_harness):
    return make_harness(max_body_bytes=100_000)


def lines(log, event="request"):
    return [line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == event]


def odd_http(box, **changes):
    for path, body in PATHS.items():
        httpx.post(f"{box.url}{path}", json={**body, **changes}, timeout=LIMIT_S)


def test_odd_requests_over_http_leave_an_id_and_no_text(box, log):
    odd_http(box)
    odd_http(box, stream=True)
    odd_http(box, model=MARK)
    odd_http(box, temperature=MARK)
    odd_http(box, stop=[MARK])
    odd_http(box, **{MARK: MARK})
    for path in PATHS:
        url = f"{box.url}{path}"
        kind = {"content-type": "application/json"}
        httpx.post(url, content=f'{{"prompt": "{MARK}"', headers=kind, timeout=LIMIT_S)
        httpx.post(url, content=MARK, headers={"content-type": MARK}, timeout=LIMIT_S)
        httpx.post(url, content=b"\xff" + MARK.encode(), headers=kind, timeout=LIMIT_S)
        httpx.post(url, content=MARK * 10_000, headers=kind, timeout=LIMIT_S)
        httpx.request(
            MARK,
            f"{url}/{MARK}?q={MARK}",
            headers={"user-agent": MARK, "x-request-id": f"{MARK} {MARK}"},
            timeout=LIMIT_S,
        )
    httpx.get(f"{box.url}/v1/models/{MARK}", timeout=LIMIT_S)
    httpx.get(f"{box.url}/{MARK}", timeout=LIMIT_S)
    wait_until(lambda: len(lines(log)) == 24)
    assert all(line["request_id"] for line in lines(log))
    assert MARK not in log.getvalue().lower()
    assert MARK not in httpx.get(box.metrics_url, timeout=LIMIT_S).text.lower()


def test_what_the_model_says_stays_out_also_when_it_fails(box, log):
    async def script(_asked):
        yield piece(MARK, [1])
        yield failure(f"EngineError: the graph is gone after {MARK}")

    box.triton.script = words(MARK)
    odd_http(box)
    odd_http(box, stream=True)
    box.triton.script = script
    odd_http(box)
    odd_http(box, stream=True)
    wait_until(lambda: len(lines(log)) == 8)
    assert MARK not in log.getvalue().lower()
    assert MARK not in httpx.get(box.metrics_url, timeout=LIMIT_S).text.lower()


def test_odd_calls_over_grpc_leave_an_id_and_no_text(box, log):
    claim = triton.InferInput(MARK, [1], "BYTES")
    claim.set_data_from_numpy(np.array([MARK.encode()], dtype=np.object_))
    message = service_pb2.ModelInferRequest(model_name=MARK, id=MARK)
    message.inputs.append(claim._get_tensor())
    message.raw_input_contents.append(claim._get_content())
    user = pb.Message(role="user", content=MARK)
    with grpc.insecure_channel(box.grpc_address) as channel:
        ours, kserve = InferenceServiceStub(channel), service_pb2_grpc.GRPCInferenceServiceStub(channel)
        calls = [
            lambda: list(ours.Chat(pb.ChatRequest(model=MODEL, messages=[user]))),
            lambda: list(ours.Chat(pb.ChatRequest(model=MARK, messages=[user]))),
            lambda: list(ours.Chat(pb.ChatRequest(model=MODEL, messages=[pb.Message(role=MARK, content=MARK)]))),
            lambda: list(ours.Complete(pb.CompleteRequest(model=MODEL, text=MARK * 100))),
            lambda: ours.Tokenize(pb.TokenizeRequest(model=MODEL, text=MARK)),
            lambda: ours.Tokenize(pb.TokenizeRequest(model=MARK, text=MARK)),
            lambda: kserve.ModelInfer(message),
            lambda: list(kserve.ModelStreamInfer(iter([message]))),
            lambda: channel.unary_unary(f"/inference.GRPCInferenceService/{MARK}")(MARK.encode()),
        ]
        for call in calls:
            _whatever_it_says(call)
    wait_until(lambda: len(lines(log)) == len(calls))
    assert all(line["request_id"] for line in lines(log))
    assert MARK not in log.getvalue().lower()
    assert MARK not in httpx.get(box.metrics_url, timeout=LIMIT_S).text.lower()


def _whatever_it_says(call):
    try:
        call()
    except grpc.RpcError:
        return


@pytest.mark.parametrize("front", ["http", "grpc"])
def test_a_bug_says_where_it_is_and_not_what_it_met(box, log, monkeypatch, front):
    async def tokenize_rendered(_self, text, _sign, _param):
        try:
            return {}[text]
        except KeyError as error:
            raise ValueError(f"cannot take {text}") from error

    monkeypatch.setattr(ServedModel, "tokenize_rendered", tokenize_rendered)
    if front == "http":
        assert httpx.post(f"{box.url}/v1/chat/completions", json=CHAT, timeout=LIMIT_S).status_code == 500
    else:
        with grpc.insecure_channel(box.grpc_address) as channel:
            request = pb.ChatRequest(model=MODEL, messages=[pb.Message(role="user", content=MARK)])
            _whatever_it_says(lambda: list(InferenceServiceStub(channel).Chat(request)))
    wait_until(lambda: lines(log, "bug"))
    (bug,) = lines(log, "bug")
    assert bug["request_id"]
    assert {"ValueError", "KeyError"} <= set(bug["traceback"])
    assert any("test_logs.py" in frame and "tokenize_rendered" in frame for frame in bug["traceback"])
    assert MARK not in log.getvalue().lower()


def test_a_librarys_complaint_keeps_its_words_and_loses_what_it_quotes(log):
    logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: <Task %s>", MARK)
    (line,) = lines(log, "Task exception was never retrieved")
    assert line["logger"] == "asyncio"
    assert MARK not in log.getvalue().lower()
