"""A conversation with the running box over its gRPC API: sends the messages and yields the streamed answer."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

import grpc

from appliance.cli.door import KEY_VARIABLE, Door
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
