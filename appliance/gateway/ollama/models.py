"""The endpoints of Ollama's API that describe models, and those that would change them, which are refused."""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance.gateway.chat.served_models import AnyModel
from appliance.gateway.http.accepted_body import accepted_for_gateway
from appliance.gateway.loading.offer import LoadState
from appliance.gateway.ollama.failure import PATH
from appliance.gateway.ollama.model_texts import context_tokens, described, details, listed
from appliance.gateway.ollama.names import known_name
from appliance.gateway.ollama.parameters import SHOW
from appliance.gateway.ollama.schema import ShowBody
from appliance.gateway.ollama.timestamp import timestamp
from appliance.gateway.refusals import ForbiddenMethodError
from appliance.gateway.services import Services

# The version of Ollama whose API the box has. Some clients ask for a minimum.
API_VERSION = "0.12.11"
# The longest time of Ollama's clients, for a model that stays loaded: 292 years.
_FOREVER_S = (1 << 63) / 1e9
_ADMINISTRATION = (
    ("/pull", ["POST"]),
    ("/push", ["POST"]),
    ("/create", ["POST"]),
    ("/copy", ["POST"]),
    ("/delete", ["DELETE"]),
    ("/blobs/{digest}", ["HEAD", "POST"]),
)


class OllamaModelsApi:
    """The endpoints."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._started = time.time()

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route(f"{PATH}/tags", self.tags, methods=["GET"]),
            Route(f"{PATH}/show", self.show, methods=["POST"]),
            Route(f"{PATH}/ps", self.running, methods=["GET"]),
            Route(f"{PATH}/version", self.version, methods=["GET"]),
            *(Route(f"{PATH}{path}", self.administration, methods=methods) for path, methods in _ADMINISTRATION),
        ]

    async def tags(self, _request: Request) -> Response:
        """`GET /api/tags`: the models, their aliases, and the routes as their preferred models."""
        served = self._services.models
        found = [listed(model, model.name, self._started) for model in served.all]
        found += [listed(served.any(alias), alias, self._started) for alias in served.aliases]
        named = {model.name: model for model in served.all}
        for route in served.routes:
            preferred = [named[model] for model in self._services.routes.models(route) if model in named]
            found += [listed(model, route, self._started) for model in preferred[:1]]
        return JSONResponse({"models": found})

    async def show(self, request: Request) -> Response:
        """`POST /api/show`."""
        asked = await accepted_for_gateway(request, self._services, ShowBody, SHOW)
        models = self._services.models
        return JSONResponse(described(models.any(known_name(models, asked.model)), self._started))

    async def running(self, _request: Request) -> Response:
        """`GET /api/ps`: the loaded models."""
        loaded = self._services.loaded
        models = [model for model in self._services.models.all if loaded.state(model.name) is LoadState.LOADED]
        return JSONResponse({"models": [self._loaded(model) for model in models]})

    async def version(self, _request: Request) -> Response:
        """`GET /api/version`."""
        return JSONResponse({"version": API_VERSION})

    async def administration(self, request: Request) -> Response:
        """Reject all requests that would change the models of the box."""
        raise ForbiddenMethodError(
            f"{request.url.path} is not available: only the operator installs and removes models, on the box itself",
            hint="on the box: appliance model pull NAME",
        )

    def _loaded(self, model: AnyModel) -> dict[str, Any]:
        keeps_s = self._services.loaded.keeps_s(model.name)
        memory_bytes = self._services.loaded.memory_bytes(model.name)
        return {
            "name": model.name,
            "model": model.name,
            "size": memory_bytes,
            "digest": model.sha256,
            "details": details(model),
            "expires_at": timestamp(time.time() + min(keeps_s, _FOREVER_S)),
            "size_vram": 0,
            "context_length": context_tokens(model),
        }
