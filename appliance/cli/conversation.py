"""A conversation with the running box over its gRPC API: sends what was said, yields the answer as it comes."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

import grpc

from appliance.errors import ApplianceError, DeadlineError, EngineError, OverloadedError, RequestError, UnavailableError
from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.gateway.proto.appliance.v1.inference_pb2_grpc import InferenceServiceStub

# What the gateway's status means to the person who chats; any other is the box's own failure.
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
# The box is on this machine: a proxy that the environment names cannot reach it.
_OPTIONS = (("grpc.enable_http_proxy", 0),)


@dataclass(frozen=True)
class Door:
    """Where the gateway's gRPC API is, and how to get in.

    Attributes:
        address: "127.0.0.1:8081".
        tls: whether it speaks TLS.
        authority: PEM of who signed its certificate; None: one that this machine believes anyway.
        key: an API key; None sends none.
    """

    address: str
    tls: bool = False
    authority: bytes | None = None
    key: str | None = field(default=None, repr=False)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What every call carries."""
        return (("authorization", f"Bearer {self.key}"),) if self.key else ()

    def channel(self) -> grpc.Channel:
        """A channel there."""
        if not self.tls:
            return grpc.insecure_channel(self.address, options=_OPTIONS)
        credentials = grpc.ssl_channel_credentials(self.authority)
        # The certificate names this machine as its clients know it, and always localhost.
        options = (*_OPTIONS, ("grpc.ssl_target_name_override", "localhost")) if self.authority else _OPTIONS
        return grpc.secure_channel(self.address, credentials, options=options)


@dataclass
class Conversation:
    """What was said so far, and where the next turn goes.

    Attributes:
        door: the gateway's gRPC address, and how to get in there.
        model: the model's name.
        sampling: settings for every answer.
        system: the system message; empty leaves the model's own.
        messages: the turns, oldest first.
    """

    door: Door
    model: str
    sampling: pb.Sampling
    system: str = ""
    messages: list[pb.Message] = field(default_factory=list)

    def forget(self) -> None:
        """Begin anew, with the same system message."""
        self.messages.clear()

    def ask(self, text: str) -> Generator[pb.CompletionChunk, None, None]:
        """Yield the answer to `text`; what came stays in the conversation even when the caller stops in the middle.

        Raises:
            RequestError, OverloadedError, DeadlineError, UnavailableError, EngineError: as the gateway said.
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
