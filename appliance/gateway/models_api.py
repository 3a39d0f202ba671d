"""`/v1/models`, in the format of the client's API: OpenAI's and Anthropic's clients use the same paths."""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from appliance.gateway.anthropic.failure import is_anthropic
from appliance.gateway.anthropic.models import ModelQuery, model_info, model_page
from appliance.gateway.bodies import json_body as body
from appliance.gateway.chat.embedding_model import EmbeddingModel
from appliance.gateway.chat.prepare import can_switch_thinking
from appliance.gateway.chat.reranking_model import RerankingModel
from appliance.gateway.chat.served_models import AnyModel
from appliance.gateway.services import Services


class ModelsApi:
    """The endpoints."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._started = int(time.time())

    def routes(self) -> list[BaseRoute]:
        """The routes of the list and of each model."""
        return [
            Route("/v1/models", self.models, methods=["GET"]),
            Route("/v1/models/{name:path}", self.model, methods=["GET"]),
        ]

    async def models(self, request: Request) -> Response:
        """`GET /v1/models`."""
        served = self._services.models
        if is_anthropic(request):
            query = body.check(ModelQuery, body.query_fields(request.query_params))
            return JSONResponse(model_page(served.text, query, self._started))
        cards = [self._card(model, model.name) for model in served.all]
        cards += [self._card(served.any(alias), alias) for alias in served.aliases]
        cards += [self._route(name) for name in served.routes]
        return JSONResponse({"object": "list", "data": cards})

    async def model(self, request: Request) -> Response:
        """`GET /v1/models/{name}`."""
        name = request.path_params["name"]
        if is_anthropic(request):
            return JSONResponse(model_info(self._services.models.get(name), self._started))
        if name in self._services.models.routes:
            return JSONResponse(self._route(name))
        return JSONResponse(self._card(self._services.models.any(name), name))

    def _route(self, name: str) -> dict[str, Any]:
        """A route: its models in order, and whether one of them can answer now."""
        routes = self._services.routes
        models = routes.models(name)
        return {
            "id": name,
            "object": "model",
            "created": self._started,
            "owned_by": "appliance",
            "route": list(models),
            "ready": not all(map(routes.reason, models)),
        }

    def _card(self, model: AnyModel, name: str) -> dict[str, Any]:
        """The model under a name or an alias; `root` is vLLM's field for the model that a name stands for."""
        return {
            "id": name,
            "object": "model",
            "created": self._started,
            "owned_by": "appliance",
            "root": model.name,
            "task": model.manifest.task_name,
            "maker": model.manifest.maker or None,
            "license": model.manifest.license or None,
            "artefact_sha256": model.sha256,
            "state": self._services.loaded.state(model.name).value,
            "ready": self._services.readiness.is_ready(model.name),
            **_sizes(model),
        }


def _sizes(model: AnyModel) -> dict[str, Any]:
    if isinstance(model, EmbeddingModel | RerankingModel):
        chat = {"chat": False, "thinking_switch": False}
        size = {"dimensions": model.task.dimensions} if isinstance(model, EmbeddingModel) else {}
        return {"max_model_len": model.task.max_tokens, **size, "capabilities": chat}
    chat = {"chat": model.template is not None, "thinking_switch": can_switch_thinking(model)}
    return {"max_model_len": model.manifest.shape.context_tokens, "capabilities": chat}
