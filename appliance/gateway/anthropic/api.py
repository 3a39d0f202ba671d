"""The endpoints of Anthropic's Messages API."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance.artefact.manifest import Generation
from appliance.gateway.anthropic.conversation import chat_request
from appliance.gateway.anthropic.failure import PATH
from appliance.gateway.anthropic.message_encoder import PING, MessageEncoder
from appliance.gateway.anthropic.parameters import POLICY
from appliance.gateway.anthropic.schema import CountBody, MessagesBody
from appliance.gateway.bodies.sampling import SamplingBody, sampling
from appliance.gateway.chat.delta_encoder import DeltaEncoder
from appliance.gateway.chat.prepare import ignored, prepare, tokenize
from appliance.gateway.http.accepted_body import accepted_for_gateway, accepted_for_model
from appliance.gateway.http.answer import HttpAnswer
from appliance.gateway.http.event_stream import Pulse
from appliance.gateway.http.ignored import note_ignored
from appliance.gateway.http.rim import record_of
from appliance.gateway.services import Services


class MessagesApi:
    """The endpoints. They accept any `anthropic-version`: all clients get the same version of the API."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route(PATH, self.create, methods=["POST"]),
            Route(f"{PATH}/count_tokens", self.count, methods=["POST"]),
        ]

    async def create(self, request: Request) -> Any:
        """`POST /v1/messages`."""
        asked = await accepted_for_model(request, self._services, MessagesBody, POLICY)
        services = self._services
        model = services.models.get(asked.model)
        prepared = await prepare(model, chat_request(asked))
        note_ignored(request, prepared.ignored)
        settings = _sampling(asked, model.manifest.generation)
        left = model.manifest.shape.context_tokens - len(prepared.prompt_ids)
        message_id = f"msg_{uuid.uuid4().hex}"
        record = record_of(request)
        encoder = MessageEncoder(
            message_id,
            record.request_id,
            model.name,
            prompt_tokens=len(prepared.prompt_ids),
            length_reason="max_tokens" if asked.max_tokens <= left else "model_context_window_exceeded",
        )
        settings["max_tokens"] = asked.max_tokens
        completion = services.request(
            message_id,
            model,
            [prepared.prompt_ids],
            prepared.settings(settings),
            stream=bool(asked.stream),
            client_names={**prepared.client_names, "stop": "stop_sequences"},
            # Anthropic's rule for a max_tokens that exceeds the context.
            clips=True,
        )
        delta_encoder = DeltaEncoder(encoder, prepared.reader(_new_call_id))
        answering = services.answering.complete(record, completion, prepared.check)
        pulse = Pulse.of(services.settings, PING) if completion.stream else None
        return HttpAnswer(answering, delta_encoder, record, encoder.failure, pulse=pulse, unheld=prepared.unheld)

    async def count(self, request: Request) -> Response:
        """`POST /v1/messages/count_tokens`. It does not wait for the model."""
        asked = await accepted_for_gateway(request, self._services, CountBody, POLICY)
        model = self._services.models.get(asked.model)
        chat = chat_request(asked)
        note_ignored(request, ignored(model, chat))
        return JSONResponse({"input_tokens": len(await tokenize(model, chat))})


def _sampling(asked: MessagesBody, defaults: Generation) -> dict[str, Any]:
    """The engine's settings except `max_tokens`, with the publisher's defaults."""
    own = {"temperature", "top_p", "top_k", "seed", "min_tokens", "ignore_eos"}
    return sampling(SamplingBody(**asked.model_dump(include=own), stop=asked.stop_sequences or None), defaults)


def _new_call_id() -> str:
    return f"toolu_{uuid.uuid4().hex[:24]}"
