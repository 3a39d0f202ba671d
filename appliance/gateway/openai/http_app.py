"""OpenAI's HTTP API, the health checks and the page: routes, and what each of them does with a request."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from appliance.errors import RequestError, UnavailableError
from appliance.gateway.access.http_door import HttpDoor
from appliance.gateway.anthropic.api import MessagesApi
from appliance.gateway.anthropic.failure import is_anthropic
from appliance.gateway.anthropic.models import ModelQuery, model_info, model_page
from appliance.gateway.chat.checked import Unheld
from appliance.gateway.chat.dialect import Dialect
from appliance.gateway.chat.prepare import prepare
from appliance.gateway.chat.reader import Reader
from appliance.gateway.completion import CompletionRequest
from appliance.gateway.desk import Desk
from appliance.gateway.infilling import encode_infilling
from appliance.gateway.inquiry.api import InquiryApi
from appliance.gateway.known_hosts import KnownHosts
from appliance.gateway.openai import body, parameters
from appliance.gateway.openai.answer import Answer
from appliance.gateway.openai.chat_form import ChatForm
from appliance.gateway.openai.chat_request import chat_request
from appliance.gateway.openai.completion_form import CompletionForm
from appliance.gateway.openai.form import Envelope, Form
from appliance.gateway.openai.http_body import body_for_model
from appliance.gateway.openai.http_rim import HANDLERS, HttpRim, record_of
from appliance.gateway.openai.openapi import document
from appliance.gateway.openai.responses.api import ResponsesApi
from appliance.gateway.openai.sampling import chat_sampling, completion_sampling
from appliance.gateway.openai.schema import ChatBody, CompletionBody, EmbeddingBody
from appliance.gateway.page.routes import page_routes
from appliance.gateway.served_model import ServedModel


class OpenAiApi:
    """The endpoints."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._started = int(time.time())

    def application(self, more: Sequence[BaseRoute] = ()) -> ASGIApp:
        """The ASGI application, rim included; `more` are endpoints that are no API's."""
        routes = [
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/v1/completions", self.completions, methods=["POST"]),
            *ResponsesApi(self._desk).routes(),
            *MessagesApi(self._desk).routes(),
            *InquiryApi(self._desk).routes(),
            Route("/v1/embeddings", self.embeddings, methods=["POST"]),
            Route("/v1/models", self.models, methods=["GET"]),
            Route("/v1/models/{name:path}", self.model, methods=["GET"]),
            Route("/openapi.json", self.description, methods=["GET"]),
            Route("/health/live", self.live, methods=["GET"]),
            Route("/health/ready", self.ready, methods=["GET"]),
            *page_routes(),
            *more,
        ]
        app = HttpDoor(Starlette(routes=routes, exception_handlers=HANDLERS), self._desk.door)
        return HttpRim(KnownHosts(app, self._desk.settings.http.host), routes, self._desk)

    async def chat(self, request: Request) -> Any:
        """`POST /v1/chat/completions`."""
        asked = body.parse(ChatBody, await self._body(request), parameters.CHAT)
        model = self._desk.models.get(asked.model)
        settings = chat_sampling(asked, model.manifest.generation)
        prepared = await prepare(model, chat_request(asked))
        completion = self._desk.request(
            _new_id(ChatForm),
            model,
            prepared.prompt_ids,
            prepared.settings(settings),
            stream=bool(asked.stream),
            client_names=prepared.client_names,
            choices=asked.n or 1,
        )
        return self._answer(request, asked, model, completion, ChatForm, prepared.reader, prepared.unheld)

    async def completions(self, request: Request) -> Any:
        """`POST /v1/completions`."""
        asked = body.parse(CompletionBody, await self._body(request), parameters.COMPLETIONS)
        model = self._desk.models.get(asked.model)
        settings = completion_sampling(asked, model.manifest.generation)
        prompt = _one_prompt(asked.prompt)
        if asked.suffix:
            ids = await encode_infilling(model, prompt, asked.suffix)
        else:
            ids = await model.encode_text(prompt) if isinstance(prompt, str) else model.check_ids(prompt)
        completion = self._desk.request(
            _new_id(CompletionForm), model, ids, settings, stream=bool(asked.stream), choices=asked.n or 1
        )
        return self._answer(request, asked, model, completion, CompletionForm, lambda: Reader(Dialect()))

    async def embeddings(self, request: Request) -> Any:
        """`POST /v1/embeddings`."""
        model = self._desk.models.get(body.check(EmbeddingBody, body.read_object(await self._body(request))).model)
        raise RequestError(
            f"{model.name} is a language model; no embedding model is installed",
            hint="no model of the catalogue embeds yet",
            param="model",
        )

    async def models(self, request: Request) -> Response:
        """`GET /v1/models`, in the form of the client's API."""
        models = self._desk.models.all
        if is_anthropic(request):
            query = body.check(ModelQuery, body.query_fields(request.query_params))
            return JSONResponse(model_page(models, query, self._started))
        return JSONResponse({"object": "list", "data": [self._card(model) for model in models]})

    async def model(self, request: Request) -> Response:
        """`GET /v1/models/{name}`, in the form of the client's API."""
        model = self._desk.models.get(request.path_params["name"])
        return JSONResponse(model_info(model, self._started) if is_anthropic(request) else self._card(model))

    async def description(self, _request: Request) -> Response:
        """`GET /openapi.json`."""
        return JSONResponse(document([model.name for model in self._desk.models.all]))

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
        return await body_for_model(request, self._desk)

    def _answer(
        self,
        request: Request,
        asked: ChatBody | CompletionBody,
        model: ServedModel,
        completion: CompletionRequest,
        kind: type[Form],
        reader: Callable[[], Reader],
        unheld: Unheld | None = None,
    ) -> Answer:
        form = kind(
            Envelope(completion.request_id, int(time.time()), model.name, model.fingerprint),
            [reader() for _ in range(completion.choices)],
            include_usage=bool(asked.stream_options and asked.stream_options.include_usage),
            alternatives=completion.sampling.get("logprobs"),
            tokens=model.token_bytes,
        )
        record = record_of(request)
        record.fields |= {"model": model.name, "answer_id": completion.request_id}
        return Answer(self._desk.triton, self._desk.in_flight, completion, form, record, unheld=unheld)

    def _card(self, model: ServedModel) -> dict[str, Any]:
        return {
            "id": model.name,
            "object": "model",
            "created": self._started,
            "owned_by": "appliance",
            "max_model_len": model.manifest.shape.context_tokens,
        }


def _new_id(kind: type[Form]) -> str:
    """A name for an answer of this kind."""
    return kind.ID_PREFIX + uuid.uuid4().hex


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
