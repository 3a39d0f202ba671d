"""`/v1/models`, in the format of the client's API: OpenAI's and Anthropic's clients use the same paths."""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from appliance.artefact.manifest import TEXT_GENERATION
from appliance.gateway.anthropic.failure import is_anthropic
from appliance.gateway.anthropic.models import ModelQuery, model_info, model_page
from appliance.gateway.bodies import json_body as body
from appliance.gateway.chat.prepare import can_switch_thinking
from appliance.gateway.chat.served_model import ServedModel
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
        models = self._services.models.all
        if is_anthropic(request):
            query = body.check(ModelQuery, body.query_fields(request.query_params))
            return JSONResponse(model_page(models, query, self._started))
        cards = [self._card(model, model.name) for model in models]
        served = self._services.models
        cards += [self._card(served.get(alias), alias) for alias in served.aliases]
        return JSONResponse({"object": "list", "data": cards})

    async def model(self, request: Request) -> Response:
        """`GET /v1/models/{name}`."""
        name = request.path_params["name"]
        model = self._services.models.get(name)
        return JSONResponse(model_info(model, self._started) if is_anthropic(request) else self._card(model, name))

    def _card(self, model: ServedModel, name: str) -> dict[str, Any]:
        """The model under a name or an alias; `root` is vLLM's field for the model that a name stands for."""
        return {
            "id": name,
            "object": "model",
            "created": self._started,
            "owned_by": "appliance",
            "root": model.name,
            "task": TEXT_GENERATION,
            "license": model.manifest.license or None,
            "artefact_sha256": model.sha256,
            "ready": self._services.readiness.is_ready(model.name),
            "max_model_len": model.manifest.shape.context_tokens,
            "capabilities": {"chat": model.template is not None, "thinking_switch": can_switch_thinking(model)},
        }
