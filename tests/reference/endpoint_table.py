"""The table of the HTTP endpoints, with the scope that the gateway requires for each. It serves nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator

from appliance.auth.scope import scope_words
from appliance.gateway.access.endpoints import path_scopes

_ENDPOINTS = (
    ("`POST /v1/chat/completions`", "the next message of a conversation, which the model's own chat template renders"),
    (
        "`POST /v1/completions`",
        "the continuation of prompts, as text or token ids: [below](#completions-for-evaluation)",
    ),
    ("`POST /v1/responses`", "OpenAI's newer API: [below](#responses)"),
    ("`POST /v1/messages`", "Anthropic's API: [below](#messages)"),
    (
        "`POST /api/chat`, `POST /api/generate`, `POST /api/embed`, `POST /api/embeddings`",
        "Ollama's API: [below](#ollama)",
    ),
    ("`GET /api/tags`, `GET /api/ps`, `POST /api/show`, `GET /api/version`", "Ollama's API: the models"),
    ("`POST /v1/tokenize`, `POST /v1/detokenize`", "[below](#tokens-and-waiting-times)"),
    ("`GET /v1/models/{name}/queue`", "how long a new request would wait: [below](#tokens-and-waiting-times)"),
    ("`POST /v1/embeddings`", "the vectors of texts: [embeddings.md](embeddings.md)"),
    ("`POST /v1/decisions`", "probabilities instead of text: [decide.md](decide.md)"),
    (
        "`POST /v1/rerank`, `POST /v2/rerank`, `POST /v1/score`",
        "the relevance of documents to a query: [rerank.md](rerank.md)",
    ),
    ("`GET /openapi.json`", "the OpenAPI description of this API"),
    ("`GET /v1/models`, `GET /v1/models/{name}`", "the models in the client's format, `max_model_len`, `capabilities`"),
    ("`GET /metrics`", "the metrics of the box: [metrics.md](metrics.md)"),
    ("`GET /`", "the chat page for a browser; its files are under `/page/`"),
    ("`GET /health`", "the same check as `/health/ready`, under the name that llama.cpp and vLLM use"),
    ("`GET /health/live`", "200 while the gateway runs"),
    ("`GET /health/ready`", "200 while Triton answers, the model is loaded and the gateway is not draining"),
    ("`GET /version`", "the version of the appliance"),
)


def endpoint_table() -> str:
    """The table in Markdown."""
    rows = [f"| {request} | {_scopes(request)} | {response} |\n" for request, response in _ENDPOINTS]
    return "".join(["| request | scope of its key | response |\n", "|---|---|---|\n", *rows])


def _scopes(request: str) -> str:
    found = {_scopes_of(path) for path in paths(request)}
    assert len(found) == 1, f"{request} needs different scopes: give each a row"
    return found.pop()


def paths(request: str) -> Iterator[str]:
    """The paths of a row: "`GET /v1/models`, `GET /v1/models/{name}`" -> "/v1/models", "/v1/models/name"."""
    for path in re.findall(r"`[A-Z]+ ([^`]+)`", request):
        yield re.sub(r"[{}]", "", path)


def _scopes_of(path: str) -> str:
    scopes = path_scopes(path)
    return "none" if scopes is None else " or ".join(f"`{word}`" for word in scope_words(scopes))
