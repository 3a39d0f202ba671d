"""The outermost layers: a bug costs one request, and is logged without what was said."""

from __future__ import annotations

import logging
import socket

import grpc
import pytest

from appliance.address import Address
from appliance.gateway.chat.served_model import ServedModel
from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.gateway.proto.appliance.v1.inference_pb2_grpc import InferenceServiceStub
from tests.waiting import LIMIT_S, wait_until

MODEL = "tiny-instruct"
REQUEST = {"model": MODEL, "prompt": "a secret"}


@pytest.fixture
def bug(monkeypatch):
    async def encode_text(_self, _text):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(ServedModel, "encode_text", encode_text)


def bugs(caplog):
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.usefixtures("bug")
def test_a_bug_is_a_500_in_our_shape_and_the_next_request_is_served(http, caplog):
    response = http.post("/v1/completions", json=REQUEST)
    assert (response.status_code, response.json()["error"]["type"]) == (500, "server_error")
    # The line is written after the answer has left.
    wait_until(lambda: bugs(caplog))
    (logged,) = bugs(caplog)
    assert logged.fields["request_id"] == response.headers["x-request-id"]
    assert "secret" not in caplog.text
    assert http.get("/v1/models").status_code == 200


@pytest.mark.usefixtures("bug")
def test_a_bug_is_an_internal_error_of_grpc(harness, caplog):
    with grpc.insecure_channel(harness.grpc_address) as channel, pytest.raises(grpc.RpcError) as caught:
        list(InferenceServiceStub(channel).Complete(pb.CompleteRequest(model=MODEL, text="a secret")))
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "a bug" not in caught.value.details()
    assert "secret" not in caplog.text


def test_a_client_that_hangs_up_before_its_body_is_complete_is_only_logged(harness, caplog):
    caplog.set_level(logging.INFO, logger="appliance.gateway")
    address = Address.from_text(harness.url.removeprefix("http://"))
    with socket.create_connection((address.host, address.port), timeout=LIMIT_S) as connection:
        head = (
            b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
        )
        connection.sendall(head)
    wait_until(lambda: any(getattr(record, "fields", {}).get("status") == 499 for record in caplog.records))
    assert not bugs(caplog)


def test_small_pieces_of_an_answer_do_not_wait_for_acknowledgements(harness, monkeypatch):
    switched = []
    original = socket.socket.setsockopt

    def setsockopt(self, level, option, value):
        if (level, option) == (socket.IPPROTO_TCP, socket.TCP_NODELAY):
            switched.append(self.getsockname()[1])
        return original(self, level, option, value)

    monkeypatch.setattr(socket.socket, "setsockopt", setsockopt)
    address = Address.from_text(harness.url.removeprefix("http://"))
    with socket.create_connection((address.host, address.port), timeout=LIMIT_S) as connection:
        connection.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.recv(10)
    assert address.port in switched


def test_turns_with_tool_calls_need_a_model_that_was_trained_to_call(http):
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turn = {"role": "assistant", "content": "a", "tool_calls": [call]}
    error = http.post("/v1/chat/completions", json={"model": MODEL, "messages": [turn]}).json()["error"]
    assert error["param"] == "messages"
    assert "was not trained to call tools" in error["message"]
    turn = {"role": "assistant", "content": "a", "function_call": {"name": "f"}}
    error = http.post("/v1/chat/completions", json={"model": MODEL, "messages": [turn]}).json()["error"]
    assert error["message"] == "messages[0].function_call is not supported"
