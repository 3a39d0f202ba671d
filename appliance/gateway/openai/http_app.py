"""OpenAI's HTTP API and the health checks: routes, and what each of them does with a request."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from appliance.errors import RequestError, UnavailableError
from appliance.gateway.access.http_door import HttpDoor
from appliance.gateway.desk import Desk
from appliance.gateway.openai import body, parameters
from appliance.gateway.openai.answer import Answer
from appliance.gateway.openai.chat_form import ChatForm
from appliance.gateway.openai.completion_form import CompletionForm
from appliance.gateway.openai.form import Envelope, Form
from appliance.gateway.openai.http_body import read_body
from appliance.gateway.openai.http_rim import HANDLERS, HttpRim, record_of
from appliance.gateway.openai.sampling import chat_sampling, completion_sampling
from appliance.gateway.openai.schema import ChatBody, CompletionBody
from appliance.gateway.served_model import ServedModel


class OpenAiApi:
    """The endpoints."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._started = int(time.time())

    def application(self) -> ASGIApp:
        """The ASGI application, rim included."""
        routes = [
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/v1/completions", self.completions, methods=["POST"]),
            Route("/v1/models", self.models, methods=["GET"]),
            Route("/v1/models/{name:path}", self.model, methods=["GET"]),
            Route("/health/live", self.live, methods=["GET"]),
            Route("/health/ready", self.ready, methods=["GET"]),
        ]
        return HttpRim(HttpDoor(Starlette(routes=routes, exception_handlers=HANDLERS), self._desk.door))

    async def chat(self, request: Request) -> Any:
        """`POST /v1/chat/completions`."""
        asked = body.parse(ChatBody, await self._body(request), parameters.CHAT)
        model = self._desk.models.get(asked.model)
        settings = chat_sampling(asked, model.manifest.generation)
        ids = await model.encode_chat([message.for_template() for message in asked.messages])
        return self._answer(request, asked, model, ids, settings, ChatForm)

    async def completions(self, request: Request) -> Any:
        """`POST /v1/completions`."""
        asked = body.parse(CompletionBody, await self._body(request), parameters.COMPLETIONS)
        model = self._desk.models.get(asked.model)
        settings = completion_sampling(asked, model.manifest.generation)
        prompt = _one_prompt(asked.prompt)
        ids = await model.encode_text(prompt) if isinstance(prompt, str) else model.check_ids(prompt)
        return self._answer(request, asked, model, ids, settings, CompletionForm)

    async def models(self, _request: Request) -> Response:
        """`GET /v1/models`."""
        return JSONResponse({"object": "list", "data": [self._card(model) for model in self._desk.models.all]})

    async def model(self, request: Request) -> Response:
        """`GET /v1/models/{name}`."""
        return JSONResponse(self._card(self._desk.models.get(request.path_params["name"])))

    async def live(self, _request: Request) -> Response:
        """`GET /health/live`: the gateway runs."""
        return JSONResponse({"status": "live"})

    async def ready(self, _request: Request) -> Response:
        """`GET /health/ready`: a request would be taken now."""
        self._desk.in_flight.check_open()
        if waiting := self._desk.readiness.waiting_for:
            raise UnavailableError(f"not ready: {', '.join(waiting)}")
        return JSONResponse({"status": "ready"})

    async def _body(self, request: Request) -> bytes:
        # First of all: a request that is refused for want of room should cost nothing.
        self._desk.in_flight.check_open()
        settings = self._desk.settings
        return await read_body(request, max_bytes=settings.max_body_bytes, timeout_s=settings.body_timeout_s)

    def _answer(
        self,
        request: Request,
        asked: ChatBody | CompletionBody,
        model: ServedModel,
        ids: Sequence[int],
        settings: dict[str, Any],
        kind: type[Form],
    ) -> Answer:
        answer_id = kind.ID_PREFIX + uuid.uuid4().hex
        form = kind(
            Envelope(answer_id, int(time.time()), model.name, model.fingerprint),
            include_usage=bool(asked.stream_options and asked.stream_options.include_usage),
            alternatives=settings.get("logprobs"),
            token_text=model.token_text,
        )
        desk = self._desk
        record = record_of(request)
        record.fields |= {"model": model.name, "answer_id": answer_id}
        completion = desk.request(answer_id, model, ids, settings, stream=bool(asked.stream), prompt_param=kind.PROMPT)
        return Answer(desk.triton, desk.in_flight, completion, form, record)

    def _card(self, model: ServedModel) -> dict[str, Any]:
        return {
            "id": model.name,
            "object": "model",
            "created": self._started,
            "owned_by": "appliance",
            "max_model_len": model.manifest.shape.context_tokens,
        }


def _one_prompt(prompt: str | list[str] | list[int] | list[list[int]]) -> str | Sequence[int]:
    """The one prompt, as text or token ids.

    Raises:
        RequestError: there are several.
    """
    if isinstance(prompt, str):
        return prompt
    first = prompt[0] if prompt else ""
    if isinstance(first, int):
        return prompt  # type: ignore[return-value]
    if len(prompt) > 1:
        raise RequestError("prompt: one prompt a request", param="prompt")
    return first
