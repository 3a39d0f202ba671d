"""Our gRPC API: chat and completion as server streams, and cheap calls for tokens and models.

If a client cancels a call, its slot becomes free. Calls for tokens need no admission: they never wait for the model.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from appliance.gateway.chat.continuation import is_continuable
from appliance.gateway.chat.prepare import prepare as to_prompt
from appliance.gateway.chat.prepare import tokenize
from appliance.gateway.chat.request import ChatRequest
from appliance.gateway.inference_v1 import messages as grpc_messages
from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.gateway.proto.appliance.v1.inference_pb2_grpc import InferenceServiceServicer
from appliance.gateway.routing.attempt import with_fallback
from appliance.gateway.rpc.known_fields import check_known
from appliance.gateway.rpc.rim import answering
from appliance.gateway.services import Services
from appliance.gateway.triton.completion import CompletionRequest

SERVICE: str = pb.DESCRIPTOR.services_by_name["InferenceService"].full_name
Prepare = Callable[[str, float | None], Awaitable[CompletionRequest]]


class InferenceService(InferenceServiceServicer):
    """Implements `appliance.v1.InferenceService`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def Chat(self, request: pb.ChatRequest, context: Any) -> None:  # noqa: N802  the schema's name
        """Answer a conversation."""

        async def prepare(identity: str, timeout_s: float | None) -> CompletionRequest:
            messages = grpc_messages.conversation(request)
            model = self._services.models.get(request.model)
            sampling = grpc_messages.settings(request.sampling, model.manifest.generation)
            ids = (await to_prompt(model, _request(messages))).prompt_ids
            return self._services.request(
                identity,
                model,
                [ids],
                sampling,
                stream=True,
                timeout_s=timeout_s,
                client_names={"prompt": "messages"},
            )

        await self._answer("Chat", prepare, context)

    async def Complete(self, request: pb.CompleteRequest, context: Any) -> None:  # noqa: N802  the schema's name
        """Continue a prompt."""

        async def prepare(identity: str, timeout_s: float | None) -> CompletionRequest:
            checked = grpc_messages.check_complete(request)
            model = self._services.models.get(checked.model)
            sampling = grpc_messages.settings(checked.sampling, model.manifest.generation)
            as_text = checked.WhichOneof("prompt") == "text"
            ids = await model.encode_text(checked.text) if as_text else model.check_ids(checked.token_ids.ids)
            return self._services.request(identity, model, [ids], sampling, stream=True, timeout_s=timeout_s)

        await self._answer("Complete", prepare, context)

    async def Tokenize(self, request: pb.TokenizeRequest, context: Any) -> Any:  # noqa: N802  the schema's name
        """Return the tokens of a text or a conversation."""
        async with answering(self._services, context, f"{SERVICE}/Tokenize") as record:
            grpc_messages.check_tokenize(request)
            model = self._services.models.get(request.model)
            record.fields["model"] = model.name
            if request.WhichOneof("input") == "text":
                return pb.TokenizeResponse(token_ids=await model.tokenize_text(request.text))
            turns = grpc_messages.conversation(request.conversation)
            return pb.TokenizeResponse(token_ids=await tokenize(model, _request(turns)))

    async def Detokenize(self, request: pb.DetokenizeRequest, context: Any) -> Any:  # noqa: N802  the schema's name
        """Return the text of tokens."""
        async with answering(self._services, context, f"{SERVICE}/Detokenize") as record:
            check_known(request)
            model = self._services.models.get(request.model)
            record.fields["model"] = model.name
            return pb.DetokenizeResponse(text=await model.detokenize(request.token_ids, "token_ids"))

    async def ListModels(self, request: pb.ListModelsRequest, context: Any) -> Any:  # noqa: N802  the schema's name
        """List the served models."""
        async with answering(self._services, context, f"{SERVICE}/ListModels"):
            check_known(request)
            ready = self._services.readiness.is_ready
            cards = [grpc_messages.card(model, ready=ready(model.name)) for model in self._services.models.text]
            return pb.ListModelsResponse(models=cards)

    async def _answer(self, method: str, prepare: Prepare, context: Any) -> None:
        """Run one completion."""
        has_begun = False
        async with answering(self._services, context, f"{SERVICE}/{method}") as record:

            async def run() -> None:
                nonlocal has_begun
                with self._services.in_flight.receiving():
                    request = await prepare(f"grpc-{uuid.uuid4().hex}", context.time_remaining())
                alternatives, of_prompt = (request.sampling.get(name) for name in ("logprobs", "prompt_logprobs"))
                with self._services.answering.complete(record, request) as answer:
                    while (delta := await answer.read()) is not None:
                        has_begun = True
                        await answer.write(context.write(grpc_messages.chunk(delta, alternatives, of_prompt)))

            await with_fallback(run, lambda: has_begun)


def _request(messages: Sequence[Mapping[str, Any]]) -> ChatRequest:
    """The conversation; if it ends with an assistant's text, the answer continues that text, as in the HTTP API."""
    return ChatRequest(messages, continues=is_continuable(messages))
