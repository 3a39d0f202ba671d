"""A conversation with the running box over its gRPC API: sends the messages and yields the streamed answer."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

import grpc

from appliance.errors import ApplianceError, DeadlineError, EngineError, OverloadedError, RequestError, UnavailableError
from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.gateway.proto.appliance.v1.inference_pb2_grpc import InferenceServiceStub

# Errors by the gateway's status; any other status is a failure of the box itself.
_ERRORS: dict[grpc.StatusCode, type[ApplianceError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: RequestError,
    grpc.StatusCode.NOT_FOUND: RequestError,
    grpc.StatusCode.UNAUTHENTICATED: RequestError,
    grpc.StatusCode.PERMISSION_DENIED: RequestError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: OverloadedError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
}
KEY_VARIABLE = "APPLIANCE_API_KEY"
# The box is on this machine: a proxy from the environment cannot reach it.
_OPTIONS = (("grpc.enable_http_proxy", 0),)


@dataclass(frozen=True)
class Door:
    """The gateway's gRPC address and credentials.

    Attributes:
        address: "127.0.0.1:8081".
        tls: whether the address uses TLS.
        authority: PEM of the CA that signed the gateway's certificate; None for the CAs that this machine trusts.
        key: an API key; None sends none.
    """

    address: str
    tls: bool = False
    authority: bytes | None = None
    key: str | None = field(default=None, repr=False)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The metadata of every call."""
        return (("authorization", f"Bearer {self.key}"),) if self.key else ()

    def channel(self) -> grpc.Channel:
        """A channel to the address."""
        if not self.tls:
            return grpc.insecure_channel(self.address, options=_OPTIONS)
        credentials = grpc.ssl_channel_credentials(self.authority)
        # The certificate has the host names that clients use, and always localhost.
        options = (*_OPTIONS, ("grpc.ssl_target_name_override", "localhost")) if self.authority else _OPTIONS
        return grpc.secure_channel(self.address, credentials, options=options)


@dataclass
class Conversation:
    """The messages so far, the server and the settings of a conversation.

    Attributes:
        door: the gateway's gRPC address and credentials.
        model: the model's name.
        sampling: sampling parameters of every answer.
        system: the system message; if empty, the model's default applies.
        messages: the turns, oldest first.
    """

    door: Door
    model: str
    sampling: pb.Sampling
    system: str = ""
    messages: list[pb.Message] = field(default_factory=list)

    def forget(self) -> None:
        """Start a new conversation with the same system message."""
        self.messages.clear()

    def ask(self, text: str) -> Generator[pb.CompletionChunk, None, None]:
        """Yield the answer to `text`. If the caller stops early, the partial answer stays in the conversation.

        Raises:
            RequestError, OverloadedError, DeadlineError, UnavailableError, EngineError: by the gateway's status.
        """
        self.messages.append(pb.Message(role="user", content=text))
        said: list[str] = []
        opening = [pb.Message(role="system", content=self.system)] if self.system else []
        request = pb.ChatRequest(model=self.model, messages=[*opening, *self.messages], sampling=self.sampling)
        with self.door.channel() as channel:
            call = InferenceServiceStub(channel).Chat(request, metadata=self.door.metadata)  # type: ignore[no-untyped-call]
            try:
                for chunk in call:
                    said.append(chunk.text)
                    yield chunk
            except grpc.RpcError as error:
                raise _translate(error) from error
            finally:
                call.cancel()
                if said:
                    self.messages.append(pb.Message(role="assistant", content="".join(said)))
                else:
                    self.messages.pop()


def _translate(error: grpc.RpcError) -> ApplianceError:
    kind = _ERRORS.get(error.code(), EngineError)
    hint = "see: appliance status" if kind in {EngineError, UnavailableError} else ""
    if error.code() is grpc.StatusCode.UNAUTHENTICATED:
        hint = f"put an API key of this box into the environment variable {KEY_VARIABLE}"
    return kind(error.details() or str(error.code()), hint=hint)
