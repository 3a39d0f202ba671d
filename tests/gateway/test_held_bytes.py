"""What bodies and messages may take of the memory, over all connections and by principal, though half of each comes."""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import threading
from collections.abc import Iterator

import grpc
import httpx
import pytest
from tritonclient.grpc import service_pb2_grpc

from appliance.auth.policy import Policy
from appliance.gateway.access.account import Limits
from appliance.gateway.access.door import DoorLimits
from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.gateway.proto.appliance.v1.inference_pb2_grpc import InferenceServiceStub
from tests.gateway.fake_triton import endless
from tests.gateway.keys import Keys, bearer, metadata, status_of
from tests.waiting import LIMIT_S, wait_until

MODEL = "tiny-instruct"
REQUEST = {"model": MODEL, "prompt": "Once"}
BODY_BYTES = 1 << 20
PIECE = b" " * (BODY_BYTES // 2)


@pytest.fixture
def keys(tmp_path) -> Keys:
    return Keys(tmp_path / "keys" / "keys.json")


@pytest.fixture
def make_box(make_harness, keys):
    """Makes a gateway with keys, where all have room for four of the largest bodies and each principal for two."""

    def make(**settings):
        box = Limits("the box", max_held_bytes=4 * BODY_BYTES, max_streams=4)
        principal = Limits("this principal", max_held_bytes=2 * BODY_BYTES, max_streams=2)
        return make_harness(
            policy=Policy(keys=keys.file.path),
            limits=DoorLimits(box, principal),
            max_body_bytes=BODY_BYTES,
            **settings,
        )

    return make


@pytest.fixture
def open_socket() -> Iterator:
    with contextlib.ExitStack() as stack:

        def connect(address: str, content: bytes) -> socket.socket:
            host, _, port = address.removeprefix("http://").rpartition(":")
            connection = stack.enter_context(socket.create_connection((host, int(port)), timeout=LIMIT_S))
            connection.sendall(content)
            return connection

        yield connect


def head(key: str, *lines: str) -> bytes:
    fixed = ["POST /v1/tokenize HTTP/1.1", "Host: x", "Content-Type: application/json", f"Authorization: Bearer {key}"]
    return "\r\n".join([*fixed, *lines, "", ""]).encode()


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


def held(box) -> dict[str, int]:
    return {
        name: account.held_bytes for name, account in box.gateway._services.door.accounts.items() if account.held_bytes
    }


def complete(box, key):
    return httpx.post(f"{box.url}/v1/completions", json=REQUEST, headers=bearer(key), timeout=LIMIT_S)


@pytest.mark.parametrize("declared", [True, False])
def test_half_sent_bodies_take_no_more_than_their_principal_may(make_box, keys, open_socket, declared):
    box, rude, polite = make_box(body_timeout_s=300.0), keys.make(), keys.make()
    lines = f"Content-Length: {BODY_BYTES}" if declared else "Transfer-Encoding: chunked"
    content = head(rude, lines) + (PIECE if declared else chunk(PIECE))
    # Room for 2 bodies: 4 halves. Those that come after are told so, and so may be all that come at one time.
    halves = [open_socket(box.url, content) for _ in range(20)]
    seen = []

    def most_are_refused() -> bool:
        seen.extend(held(box).values())
        return sum(_answered(half).startswith(b"HTTP/1.1 429 ") for half in halves) >= 16

    wait_until(most_are_refused)
    assert 0 < max(seen) <= 2 * BODY_BYTES
    assert complete(box, polite).status_code == 200
    for half in halves:
        half.close()
    wait_until(lambda: not held(box))
    assert complete(box, rude).status_code == 200


def _answered(connection: socket.socket) -> bytes:
    """What has come back, without taking it from the connection."""
    connection.setblocking(False)
    try:
        return connection.recv(4096, socket.MSG_PEEK)
    except BlockingIOError:
        return b""


def test_a_body_for_which_there_is_no_room_is_refused_before_it_comes(make_box, keys, open_socket):
    box, key = make_box(body_timeout_s=300.0), keys.make()
    for _ in range(3):
        open_socket(box.url, head(key, f"Content-Length: {BODY_BYTES}") + PIECE)
    wait_until(lambda: sum(held(box).values()) >= 3 * len(PIECE))
    answer = http.client.HTTPResponse(open_socket(box.url, head(key, f"Content-Length: {BODY_BYTES}")))
    answer.begin()
    assert answer.status == 429
    assert answer.headers["retry-after"] == "1"
    assert b"max_held_bytes" in answer.read()


def test_all_principals_together_have_no_more_than_the_box_may(make_box, keys, open_socket):
    box = make_box(body_timeout_s=300.0)
    everybody = [keys.make() for _ in range(5)]
    for key in everybody[:4]:
        for _ in range(2):
            # Its length is not declared: a body that says its length is refused where the rest of it would not fit.
            open_socket(box.url, head(key, "Transfer-Encoding: chunked") + chunk(PIECE))
    wait_until(lambda: sum(held(box).values()) == 4 * BODY_BYTES)
    response = complete(box, everybody[4])
    assert response.status_code == 429
    assert "the box's limit" in response.json()["error"]["message"]


def test_a_body_counts_until_its_answer_has_ended(make_box, keys):
    box, key = make_box(), keys.make()
    box.triton.script = endless()
    with (
        httpx.Client(base_url=box.url, timeout=LIMIT_S, headers=bearer(key)) as client,
        client.stream("POST", "/v1/completions", json={**REQUEST, "stream": True}) as response,
    ):
        assert response.status_code == 200
        assert 0 < sum(held(box).values()) < 200
    wait_until(lambda: not held(box))


def frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    """RFC 9113 section 4.1."""
    return struct.pack(">I", len(content))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + content


def half_a_call(method: str, key: str) -> bytes:
    """The beginning of a gRPC call whose message is said to have the largest size, and of which one byte comes."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": method,
        ":authority": "x",
        "content-type": "application/grpc",
        "te": "trailers",
        "authorization": f"Bearer {key}",
    }
    # RFC 7541 section 6.2.2, without Huffman's code.
    block = b"".join(
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in fields.items()
    )
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"")
    return preface + frame(1, 4, 1, block) + frame(0, 0, 1, b"\0" + struct.pack(">I", BODY_BYTES) + b"x")


def rpc(box, key):
    with grpc.insecure_channel(box.grpc_address) as channel:
        call = InferenceServiceStub(channel).Complete(
            pb.CompleteRequest(model=MODEL, text="Once"), metadata=metadata(key), timeout=LIMIT_S
        )
        return status_of(call)[0]


@pytest.mark.parametrize(
    "method", ["/appliance.v1.InferenceService/Complete", "/inference.GRPCInferenceService/ModelInfer"]
)
def test_half_sent_messages_keep_only_their_own_principal_waiting(make_box, keys, open_socket, method):
    box, rude, polite = make_box(body_timeout_s=300.0), keys.make(), keys.make()
    halves = [open_socket(box.grpc_address, half_a_call(method, rude)) for _ in range(8)]
    accounts = box.gateway._services.door.accounts
    wait_until(lambda: sum(account.active for account in accounts.values()) == 8)
    assert rpc(box, polite) is grpc.StatusCode.OK
    for half in halves:
        half.close()
    wait_until(lambda: sum(account.active for account in accounts.values()) == 0)
    assert rpc(box, rude) is grpc.StatusCode.OK


@pytest.mark.parametrize("method", ["/grpc.health.v1.Health/Check", "/appliance.v1.InferenceService/Complete"])
def test_a_half_sent_message_is_waited_for_no_longer_than_a_body(make_box, keys, open_socket, method):
    box = make_box(body_timeout_s=0.5)
    connection = open_socket(box.grpc_address, half_a_call(method, keys.make()))
    found = b""
    while b"grpc-status" not in found:
        piece = connection.recv(65536)
        assert piece
        found += piece


def test_streams_of_requests_are_counted(make_box, keys):
    box, key, other = make_box(), keys.make(), keys.make()

    def opened(channel, who):
        """A stream that has been let in, or its status."""
        call = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelStreamInfer(iter(()), metadata=metadata(who))
        return status_of(call)[0]

    accounts = box.gateway._services.door.accounts
    over = threading.Event()

    def silent():
        over.wait()
        yield from ()

    with grpc.insecure_channel(box.grpc_address) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        silences = [stub.ModelStreamInfer(silent(), metadata=metadata(key)) for _ in range(2)]
        wait_until(lambda: sum(account.streams for account in accounts.values()) == 2)
        assert opened(channel, key) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert opened(channel, other) is grpc.StatusCode.OK
        over.set()
        assert [status_of(call)[0] for call in silences] == [grpc.StatusCode.OK] * 2
        assert opened(channel, key) is grpc.StatusCode.OK
