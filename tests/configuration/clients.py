"""What a client sends to a box of these tests, and how it is refused."""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import threading
from collections.abc import Callable, Iterator

import grpc
import httpx
from tritonclient.grpc import service_pb2_grpc

from appliance.address import Address
from tests.gateway.fake_triton import endless
from tests.gateway.harness import Harness
from tests.gateway.keys import bearer, metadata, status_of
from tests.waiting import LIMIT_S, wait_until

MODEL = "tiny-instruct"
# Four tokens, and two of the answer.
REQUEST = {"model": MODEL, "prompt": "Once"}
MIB = 1 << 20
Opener = Callable[[str], Harness]


def complete(box: Harness, key: str = "", **parameters: object) -> httpx.Response:
    headers = bearer(key) if key else {}
    return httpx.post(f"{box.url}/v1/completions", json={**REQUEST, **parameters}, headers=headers, timeout=LIMIT_S)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["message"]


def refused(box: Harness, key: str = "") -> tuple[int, str]:
    """How a request is refused while answers do not end."""
    headers = bearer(key) if key else {}
    body = {**REQUEST, "stream": True}
    with httpx.stream("POST", f"{box.url}/v1/completions", json=body, headers=headers, timeout=LIMIT_S) as response:
        assert response.status_code != 200
        response.read()
        return refusal(response)


@contextlib.contextmanager
def streaming(box: Harness, key: str = "") -> Iterator[None]:
    """Hold an answer open."""
    box.triton.script = endless()
    headers = bearer(key) if key else {}
    body = {**REQUEST, "stream": True}
    with httpx.stream("POST", f"{box.url}/v1/completions", json=body, headers=headers, timeout=LIMIT_S) as response:
        assert response.status_code == 200
        yield


def connect(box: Harness, content: bytes = b"", *, receive_buffer: int = 0) -> socket.socket:
    address = Address.from_text(box.url.partition("//")[2])
    connection = socket.socket()
    connection.settimeout(LIMIT_S)
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.connect((address.host, address.port))
    connection.sendall(content)
    return connection


def is_quiet(connection: socket.socket) -> bool:
    """Whether nothing came, the end of the connection included."""
    return not select.select([connection], [], [], 0)[0]


def half_sent(declared: int, key: str = "") -> bytes:
    lines = ["POST /v1/tokenize HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {declared}"]
    return "\r\n".join([*lines, *([f"Authorization: Bearer {key}"] if key else []), "", ""]).encode()


def answer_of(connection: socket.socket) -> tuple[int, str]:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.status, answer.read().decode()


def held_bytes(box: Harness) -> int:
    return sum(account.held_bytes for account in box.gateway._services.door.accounts.values())


def stream_statuses(box: Harness, held: str, asking: str) -> grpc.StatusCode:
    """While one stream is open: how another one ends that is opened beside it."""
    over = threading.Event()

    def silent() -> Iterator[object]:
        over.wait()
        yield from ()

    accounts = box.gateway._services.door.accounts
    with grpc.insecure_channel(box.grpc_address) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        silence = stub.ModelStreamInfer(silent(), metadata=metadata(held))
        wait_until(lambda: any(account.streams for account in accounts.values()))
        found = status_of(stub.ModelStreamInfer(iter(()), metadata=metadata(asking)))[0]
        over.set()
        assert status_of(silence)[0] is grpc.StatusCode.OK
    return found
