"""Connections that dawdle, idle or pile up: they are cut or make room, and others are answered meanwhile."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys

import httpx
import pytest

from appliance.gateway.http.connections import connection_limit
from tests.gateway.fake_triton import endless
from tests.waiting import LIMIT_S, wait_until

MODEL = "tiny-instruct"
REQUEST = {"model": MODEL, "prompt": "Once"}
GET = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


def connect(box) -> socket.socket:
    address = box.gateway.http.address
    return socket.create_connection((address.host, address.port), timeout=LIMIT_S)


def is_cut(connection: socket.socket) -> bool:
    """Wait for the other side's end, reading what comes before it."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        return True
    return True


def asked_once(connection: socket.socket) -> bytes:
    connection.sendall(GET)
    answer = b""
    while b'"live"}' not in answer:
        answer += connection.recv(65536)
    return answer


def test_a_connection_that_says_nothing_is_cut(make_harness):
    box = make_harness(header_timeout_s=0.2)
    with connect(box) as connection:
        assert is_cut(connection)


def test_a_head_that_trickles_in_is_cut_though_bytes_keep_coming(make_harness):
    box = make_harness(header_timeout_s=0.5)
    with connect(box) as connection:
        connection.settimeout(0.05)
        connection.sendall(b"GET /health/live HTTP/1.1\r\n")

        def is_over() -> bool:
            try:
                connection.sendall(b"X-Slow: 1\r\n")
                return connection.recv(1) == b""
            except TimeoutError:
                return False
            except ConnectionError:
                return True

        wait_until(is_over)
        assert httpx.get(f"{box.url}/health/live", timeout=LIMIT_S).status_code == 200


def test_a_second_head_that_trickles_in_is_cut_too(make_harness):
    box = make_harness(header_timeout_s=0.3)
    with connect(box) as connection:
        assert asked_once(connection)
        connection.sendall(b"GET /health")
        assert is_cut(connection)


def test_a_refused_body_that_trickles_in_is_cut(make_harness):
    box = make_harness(header_timeout_s=0.3)
    with connect(box) as connection:
        # No body is read at an unknown path.
        connection.sendall(b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 404 ")
        connection.sendall(b"a")
        assert is_cut(connection)


def test_a_connection_idle_between_requests_is_closed_after_its_own_time(make_harness):
    box = make_harness(header_timeout_s=60.0, idle_timeout_s=0.2)
    with connect(box) as connection:
        assert asked_once(connection)
        assert is_cut(connection)


def test_an_answer_may_take_longer_than_a_head(make_harness):
    box = make_harness(header_timeout_s=0.2, idle_timeout_s=0.2)
    box.triton.script = endless(pause_s=0.02)
    with httpx.stream(
        "POST", f"{box.url}/v1/completions", json={**REQUEST, "stream": True}, timeout=LIMIT_S
    ) as response:
        lines = response.iter_lines()
        for _ in range(60):
            next(lines)


def test_one_connection_too_many_closes_the_one_idle_longest(make_harness):
    box = make_harness(max_connections=3)
    box.triton.script = endless(pause_s=0.02)
    with (
        httpx.stream(
            "POST", f"{box.url}/v1/completions", json={**REQUEST, "stream": True}, timeout=LIMIT_S
        ) as response,
        connect(box) as first,
        connect(box) as second,
    ):
        assert asked_once(first)
        assert asked_once(second)
        assert asked_once(first)
        with connect(box) as third:
            assert asked_once(third)
            assert is_cut(second)
            assert asked_once(first)
        assert next(response.iter_lines())


# A process of its own: each end of ten thousand connections needs as many descriptors.
MANY = """
import resource, socket, sys
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 100), hard))
connections = [socket.create_connection((host, port), timeout=60) for _ in range(count)]
print("open", flush=True)
sys.stdin.read()
for connection in (connections[0], connections[-1]):
    connection.sendall(b"GET /health/live HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    print(connection.recv(12).decode(), flush=True)
"""


def test_ten_thousand_idle_connections_leave_others_their_answers(make_harness):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(10_000, hard - 1000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 500), hard))
    try:
        box = make_harness(header_timeout_s=600.0, idle_timeout_s=600.0)
        address = box.gateway.http.address
        command = [sys.executable, "-c", MANY, address.host, str(address.port), str(count)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as clients:
            assert clients.stdout.readline() == "open\n"
            wait_until(lambda: len(box.gateway.http._server.server_state.connections) == count)
            for _ in range(20):
                assert httpx.post(f"{box.url}/v1/completions", json=REQUEST, timeout=LIMIT_S).status_code == 200
            assert clients.communicate()[0] == "HTTP/1.1 200\nHTTP/1.1 200\n"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(("soft", "wanted", "room"), [(512, None, 1744), (512, 600, 600), (2000, 50, 50)])
def test_room_is_made_for_as_many_connections_as_the_kernel_allows(soft: int, wanted: int | None, room: int):
    code = (
        "import resource, sys; from appliance.gateway.http.connections import connection_limit as room;"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, 2000));"
        f"print(room({wanted}), resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= room({wanted}) + 256)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(room), "True"]
    assert connection_limit(1) == 1


def test_when_all_are_busy_a_newcomer_is_turned_away(make_harness):
    box = make_harness(max_connections=1)
    box.triton.script = endless(pause_s=0.02)
    with httpx.stream(
        "POST", f"{box.url}/v1/completions", json={**REQUEST, "stream": True}, timeout=LIMIT_S
    ) as response:
        with connect(box) as newcomer:
            assert is_cut(newcomer)
        assert next(response.iter_lines())
