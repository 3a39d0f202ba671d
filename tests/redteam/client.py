"""What an attacker sends with: HTTP, bare bytes and gRPC, each on a connection of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from tritonclient.grpc import service_pb2 as pb

from appliance.gateway.proto.appliance.v1.inference_pb2_grpc import InferenceServiceStub

# No healthy answer needs it, on a busy machine either.
LIMIT_S = 300.0
_KSERVE = "/inference.GRPCInferenceService/"
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Answer:
    """An answer over HTTP, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as a value."""
        return json.loads(self.body)

    def __str__(self) -> str:
        return f"{self.status} {self.body[:200]!r}"


@dataclass(frozen=True)
class Call:
    """A call over gRPC that has ended.

    Attributes:
        code: its status.
        details: what it says of it.
        answers: what came before, as bytes.
    """

    code: grpc.StatusCode
    details: str
    answers: Sequence[bytes]


class Client:
    """One principal of a box.

    Attributes:
        key: its API key; None has none.
        model: the model that it asks.
    """

    def __init__(self, http: str, grpc_address: str, model: str, key: str | None) -> None:
        self.http = http
        self.grpc_address = grpc_address
        self.model = model
        self.key = key

    @property
    def headers(self) -> dict[str, str]:
        """The header with the key."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The same over gRPC."""
        return tuple((name.lower(), value) for name, value in self.headers.items())

    @property
    def principal(self) -> str:
        """What the box calls it."""
        assert self.key
        return f"key:{self.key.split('_')[1]}"

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        address: str | None = None,
    ) -> Answer:
        """Send a request and read its answer to the end."""
        with contextlib.closing(http.client.HTTPConnection(address or self.http, timeout=LIMIT_S)) as connection:
            # A refusal may come, and the connection end, before all is sent: the answer is what counts.
            with contextlib.suppress(ConnectionError):
                connection.request(method, path, body, {**self.headers, **_JSON, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())

    def post(self, path: str, *, address: str | None = None, **fields: Any) -> Answer:
        """POST a body with the model in it."""
        return self.ask("POST", path, json.dumps({"model": self.model, **fields}).encode(), address=address)

    def get(self, path: str, *, address: str | None = None, **headers: str) -> Answer:
        """GET; headers by name."""
        return self.ask("GET", path, headers=headers, address=address)

    def request(self, path: str, **fields: Any) -> bytes:
        """A POST as bytes, for `connect`."""
        body = json.dumps({"model": self.model, **fields}).encode()
        return self.head(path, f"Content-Length: {len(body)}") + body

    def head(self, path: str, *lines: str) -> bytes:
        """The head of a POST as bytes."""
        fixed = [f"POST {path} HTTP/1.1", "Host: box", "Content-Type: application/json"]
        fixed += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*fixed, *lines, "", ""]).encode()

    @contextlib.contextmanager
    def connect(
        self, content: bytes = b"", *, address: str | None = None, receive_buffer: int = 0
    ) -> Iterator[socket.socket]:
        """A bare connection over which these bytes were sent."""
        host, _, port = (address or self.http).rpartition(":")
        with socket.socket() as connection:
            if receive_buffer:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            connection.settimeout(LIMIT_S)
            connection.connect((host, int(port)))
            with contextlib.suppress(ConnectionError):
                connection.sendall(content)
            yield connection

    @staticmethod
    def all_of(connection: socket.socket) -> bytes:
        """All that comes until the other side ends."""
        found = b""
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(65536):
                found += piece
        return found

    @contextlib.contextmanager
    def channel(self, **options: Any) -> Iterator[grpc.Channel]:
        """A channel of its own to the gRPC API."""
        with grpc.insecure_channel(self.grpc_address, [("grpc.use_local_subchannel_pool", 1)], **options) as channel:
            yield channel

    def call(self, method: str, messages: Sequence[bytes], *, channel: grpc.Channel | None = None) -> Call:
        """Call any method with bytes, as a stream both ways; read it to its end."""
        with contextlib.ExitStack() as stack:
            channel = channel or stack.enter_context(self.channel())
            call = channel.stream_stream(method)(iter(messages), metadata=self.metadata, timeout=LIMIT_S)
            answers: list[bytes] = []
            try:
                answers += call
            except grpc.RpcError as error:
                return Call(error.code(), error.details(), answers)
            return Call(grpc.StatusCode.OK, "", answers)

    def kserve(self, method: str, message: Any) -> Call:
        """Call a method of KServe's service, with a message or its bytes."""
        content = message if isinstance(message, bytes) else message.SerializeToString()
        return self.call(_KSERVE + method, [content])

    def infer(self, message: Any) -> tuple[str, pb.ModelInferResponse | None]:
        """One request in KServe's stream: its error or nothing, and the last answer with outputs."""
        call = self.kserve("ModelStreamInfer", message)
        if call.code is not grpc.StatusCode.OK:
            return f"{call.code.name}: {call.details}", None
        found = [pb.ModelStreamInferResponse.FromString(answer) for answer in call.answers]
        errors = [one.error_message for one in found if one.error_message]
        with_outputs = [one.infer_response for one in found if one.infer_response.outputs]
        return (errors or [""])[0], (with_outputs or [None])[-1]

    @contextlib.contextmanager
    def stub(self, **options: Any) -> Iterator[InferenceServiceStub]:
        """Our own gRPC API."""
        with self.channel(**options) as channel:
            yield InferenceServiceStub(channel)
