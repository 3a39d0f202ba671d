"""Clients without manners: half bodies, unread answers, connections that hang, messages that grow when unpacked."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
from collections.abc import Iterator

import grpc
import psutil
from tritonclient.grpc import service_pb2 as pb

from appliance.gateway.proto.appliance.v1 import inference_pb2
from tests.gateway.keys import status_of
from tests.redteam.attack import Attack, expect
from tests.redteam.box import AttackedBox
from tests.waiting import wait_until

_HALVES, _HALF_BYTES = 300, 2 << 20
_READERS, _LEAVERS, _IDLE = 40, 60, 300
# The bodies that the box holds are bounded by max_held_bytes, 128 MiB by default, of which one principal has half;
# the rest is for what the gateway and its allocator have around them.
_HELD_BYTES = 256 << 20
# Triton kept 115 MiB of each wave when it did not free what was cancelled.
_KEPT_BYTES = 48 << 20
_LOOKS = 4
_MEBI = 1 << 20
_BOMB_BYTES = 256 * _MEBI


def _gateway_bytes(box: AttackedBox) -> int:
    return int(psutil.Process(box.state.gateway_pid).memory_info().rss)


def _triton_bytes(box: AttackedBox) -> int:
    return int(psutil.Process(box.state.triton_pid).memory_info().rss)


@contextlib.contextmanager
def _growth(box: AttackedBox, most: int) -> Iterator[list[int]]:
    """How much the gateway grew within the block."""
    before, grown = _gateway_bytes(box), [0]
    yield grown
    grown[0] = _gateway_bytes(box) - before
    expect(grown[0] < most, f"the gateway grew by {grown[0] // _MEBI} MiB")


def _wait_until_alone(box: AttackedBox) -> None:
    """Until no more than the bystander's request runs or waits; several looks, for what is still on its way."""
    looks = [False] * _LOOKS

    def is_alone() -> bool:
        engine = box.status["engine"]
        looks.append(engine.get("slots_busy", 2) + engine.get("queue_length", 2) <= 1)
        return all(looks[-_LOOKS:])

    wait_until(is_alone)


def half_bodies(box: AttackedBox) -> str:
    """300 bodies of 4 MB, of which half comes: by one principal, with lengths and in chunks."""
    piece = b" " * _HALF_BYTES
    with _growth(box, _HELD_BYTES) as grown, contextlib.ExitStack() as stack:
        for number in range(_HALVES):
            paths = ("/v1/chat/completions", "/v1/completions", "/v1/tokenize", "/v1/messages")
            path = paths[number % len(paths)]
            if number % 2:
                head, content = box.attacker.head(path, f"Content-Length: {2 * _HALF_BYTES - 1}"), piece
            else:
                head = box.attacker.head(path, "Transfer-Encoding: chunked")
                content = b"%x\r\n%s\r\n" % (len(piece), piece)
            connection = stack.enter_context(box.attacker.connect(head))
            connection.setblocking(False)
            _send_what_is_taken(connection, content)
    return f"{_HALVES} half bodies: the gateway grew by {grown[0] // _MEBI} MiB"


def _send_what_is_taken(connection: socket.socket, content: bytes) -> None:
    """Send for as long as the other side reads; it may hang up."""
    view = memoryview(content)
    with contextlib.suppress(ConnectionError):
        for _ in range(50):
            try:
                view = view[connection.send(view) :]
            except BlockingIOError:
                with contextlib.suppress(TimeoutError):
                    connection.settimeout(0.02)
                    view = view[connection.send(view) :]
                    continue
                return
            if not view:
                return


def slow_readers(box: AttackedBox) -> str:
    """Streams that nobody reads, until the box ends them; a second wave finds the room that the first one took."""
    with _growth(box, _HELD_BYTES) as grown:
        _unread(box)
        before = _triton_bytes(box)
        _unread(box)
    kept = _triton_bytes(box) - before
    expect(kept < _KEPT_BYTES, f"Triton kept {kept // _MEBI} MiB of the second wave")
    return (
        f"twice {_READERS} unread streams: the gateway grew by {grown[0] // _MEBI} MiB, Triton by {kept // _MEBI} MiB"
    )


def _unread(box: AttackedBox) -> None:
    endless = {"prompt": "a", "max_tokens": 3000, "ignore_eos": True, "stream": True, "logprobs": 5}
    with contextlib.ExitStack() as stack:
        for _ in range(_READERS):
            request = box.attacker.request("/v1/completions", **endless)
            stack.enter_context(box.attacker.connect(request, receive_buffer=4096))
        wait_until(lambda: (box.slots_busy or 0) > 1)
        # Nobody reads and nobody hangs up: the box itself ends them all.
        _wait_until_alone(box)


def clients_that_leave(box: AttackedBox) -> str:
    """They hang up as soon as they have asked, over HTTP and gRPC, and nothing of them goes on."""
    endless = {"prompt": "a", "max_tokens": 3000, "ignore_eos": True}
    for number in range(_LEAVERS):
        with box.attacker.connect(box.attacker.request("/v1/completions", **endless, stream=bool(number % 2))):
            pass
        with box.attacker.stub() as stub:
            sampling = inference_pb2.Sampling(max_tokens=3000, ignore_eos=True)
            asked = inference_pb2.CompleteRequest(model=box.model, text="a", sampling=sampling)
            call = stub.Complete(asked, metadata=box.attacker.metadata)
            if number % 2:
                next(call)
            call.cancel()
    _wait_until_alone(box)
    return f"{2 * _LEAVERS} requests ended with their clients"


def idle_connections(box: AttackedBox) -> str:
    """Connections that say nothing, or stop within a head: the box ends every one."""
    client = box.attacker
    heads = (
        b"",
        b"POST /v1/comp",
        client.head("/v1/completions")[:-2],
        b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n",
    )
    with contextlib.ExitStack() as stack:
        connections = []
        for number in range(_IDLE):
            address = (box.state.http, box.state.metrics, box.triton_http)[number % 3]
            connections.append(stack.enter_context(client.connect(heads[number % 4], address=address)))
        for connection in connections:
            client.all_of(connection)
    return f"{_IDLE} connections ended by the box"


def packed_messages(box: AttackedBox) -> str:
    """Messages of gRPC that are small on the wire and large when unpacked."""
    client, large = box.attacker, "a" * (256 << 20)
    with _growth(box, _HELD_BYTES) as grown:
        for compression in (grpc.Compression.Gzip, grpc.Compression.Deflate):
            with client.stub(compression=compression) as stub:
                asked = inference_pb2.CompleteRequest(model=box.model, text=large)
                code, details = status_of(stub.Complete(asked, metadata=client.metadata))
            expect(code is grpc.StatusCode.RESOURCE_EXHAUSTED, f"{compression.name}: {code.name} {details}")
            with client.channel(compression=compression) as channel:
                request = pb.ModelInferRequest(model_name=box.model, raw_input_contents=[large.encode()])
                method = "/inference.GRPCInferenceService/ModelStreamInfer"
                call = client.call(method, [request.SerializeToString()], channel=channel)
            expect(call.code is grpc.StatusCode.RESOURCE_EXHAUSTED, f"{compression.name}: {call.code} {call.details}")
    return f"4 messages of 256 MiB refused: the gateway grew by {grown[0] // _MEBI} MiB"


def packed_bodies(box: AttackedBox) -> str:
    """Bodies that would become very large, or that are not what they claim, are refused early."""
    plain = json.dumps({"model": box.model, "prompt": "a", "max_tokens": 1}).encode()
    bomb = gzip.compress(bytes(_BOMB_BYTES))
    refused = {
        "a bomb": ("gzip", bomb, 413),
        "members without content": ("gzip", gzip.compress(b"") * 100_000, 400),
        "blocks without content": ("gzip", bomb[:10] + b"\0\0\0\xff\xff" * (1 << 20), 413),
        "no gzip": ("gzip", plain, 400),
        "half": ("gzip", gzip.compress(plain)[:-9], 400),
        **{coding: (coding, plain, 415) for coding in ("deflate", "br", "zstd", "gzip, gzip")},
    }
    with _growth(box, _HELD_BYTES) as grown:
        for name, (coding, body, status) in refused.items():
            for path in ("/v1/completions", "/v1/tokenize"):
                answer = box.attacker.ask("POST", path, body, {"Content-Encoding": coding})
                expect(answer.status == status, f"{name}: {answer}")
    return f"{len(refused)} kinds refused; the gateway grew by {grown[0] // _MEBI} MiB"


ATTACKS = (
    Attack("half-sent bodies", "R12", half_bodies),
    Attack("slow readers", "R12", slow_readers),
    Attack("clients that hang up", "R12", clients_that_leave),
    Attack("connections that say nothing", "R12", idle_connections),
    Attack("compressed messages", "R12", packed_messages),
    Attack("compressed bodies", "R12", packed_bodies),
)
