"""The HTTP applications: the APIs of each listener. The layers around them are the same for all listeners."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from appliance.gateway import openapi
from appliance.gateway.anthropic import failure as anthropic
from appliance.gateway.anthropic.api import MessagesApi
from appliance.gateway.health_api import HealthApi
from appliance.gateway.http.cors import with_cors
from appliance.gateway.http.door import HttpDoor
from appliance.gateway.http.fallback import with_fallback
from appliance.gateway.http.known_hosts import KnownHosts
from appliance.gateway.http.paths import Paths
from appliance.gateway.http.rim import HANDLERS, HttpRim
from appliance.gateway.inquiry.api import InquiryApi
from appliance.gateway.models_api import ModelsApi
from appliance.gateway.ollama import failure as ollama
from appliance.gateway.ollama.api import OllamaApi
from appliance.gateway.ollama.embeddings import OllamaEmbeddingsApi
from appliance.gateway.ollama.models import OllamaModelsApi
from appliance.gateway.openai import failure as openai
from appliance.gateway.openai import rerank
from appliance.gateway.openai.api import OpenAiApi
from appliance.gateway.openai.decisions.api import DecisionsApi
from appliance.gateway.openai.embeddings import EmbeddingsApi
from appliance.gateway.openai.rerank import RerankApi
from appliance.gateway.openai.responses.api import ResponsesApi
from appliance.gateway.openai.score import ScoreApi
from appliance.gateway.page.routes import page_routes
from appliance.gateway.services import Services
from appliance.gateway.triton_http import failure as triton_http
from appliance.gateway.triton_http.api import TritonHttpApi

# The first segments of the paths under /v1.
_UNVERSIONED = (
    *(
        "chat",
        "completions",
        "decisions",
        "embeddings",
        "rerank",
        "responses",
        "score",
        "messages",
        "models",
        "tokenize",
    ),
    "detokenize",
)
_SHAPES = (anthropic.SHAPE, rerank.SHAPE, triton_http.SHAPE, ollama.SHAPE, openai.SHAPE)


def main_application(services: Services, more: Sequence[BaseRoute]) -> ASGIApp:
    """The application of `main_routes`; `more` are endpoints that belong to no API."""
    return Paths(_application([*main_routes(services), *more], services, services.settings.http.host), _UNVERSIONED)


def main_routes(services: Services) -> list[BaseRoute]:
    """The routes of the APIs for language models, the health checks and the chat page."""

    async def description(_request: Request) -> Response:
        """`GET /openapi.json`."""
        return JSONResponse(openapi.document([model.name for model in services.models.all]))

    return [
        *OpenAiApi(services).routes(),
        *EmbeddingsApi(services).routes(),
        *RerankApi(services).routes(),
        *ScoreApi(services).routes(),
        *DecisionsApi(services).routes(),
        *ResponsesApi(services).routes(),
        *MessagesApi(services).routes(),
        *OllamaApi(services).routes(),
        *OllamaEmbeddingsApi(services).routes(),
        *OllamaModelsApi(services).routes(),
        *InquiryApi(services).routes(),
        *ModelsApi(services).routes(),
        Route("/openapi.json", description, methods=["GET"]),
        *HealthApi(services).routes(),
        *page_routes(history=services.settings.page_history),
    ]


def triton_application(services: Services, host: str) -> ASGIApp:
    """Triton's HTTP API, with its own listener at `host`."""
    return Paths(_application(TritonHttpApi(services).routes(), services, host))


def _application(routes: Sequence[BaseRoute], services: Services, host: str) -> ASGIApp:
    routes = [with_fallback(route) for route in routes]
    inner = Starlette(routes=routes, exception_handlers=HANDLERS)
    # A redirect would name the scheme and host that the box sees, which are not those of a proxy in front.
    inner.router.redirect_slashes = False
    settings = services.settings
    app = with_cors(HttpDoor(inner, services.door, open_health=settings.open_health), settings.cors_origins)
    return HttpRim(KnownHosts(app, host, *settings.hosts), routes, services, _SHAPES)
