"""The endpoints of Ollama's embeddings."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from appliance.gateway.access_log import Record
from appliance.gateway.chat.embedding_model import EmbeddingModel
from appliance.gateway.chat.embedding_texts import check_dimensions, numbers_of, tokens_of, vectors_of
from appliance.gateway.http.accepted_body import accepted_for_model
from appliance.gateway.http.answer import HttpAnswer
from appliance.gateway.http.json_text import encode
from appliance.gateway.http.rim import record_of
from appliance.gateway.http.whole_encoder import WholeEncoder
from appliance.gateway.ollama.failure import PATH, failure_line
from appliance.gateway.ollama.names import known_name
from appliance.gateway.ollama.parameters import EMBED
from appliance.gateway.ollama.schema import EmbedBody, EmbedOneBody
from appliance.gateway.services import Services
from appliance.gateway.triton.embedding_call import EmbeddingRequest

_NS_A_MS = 1_000_000
# As many tokens as fit.
_ALL_THAT_FITS = -1


class OllamaEmbeddingsApi:
    """See the module."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route(f"{PATH}/embed", self.embed, methods=["POST"]),
            Route(f"{PATH}/embeddings", self.embed_one, methods=["POST"]),
        ]

    async def embed(self, request: Request) -> Any:
        """`POST /api/embed`."""
        asked = await accepted_for_model(request, self._services, EmbedBody, EMBED)
        model = self._model(asked)
        check_dimensions(model, asked.dimensions)
        cut = _ALL_THAT_FITS if asked.truncate else None
        is_list = isinstance(asked.input, list)
        given = asked.input if isinstance(asked.input, list) else [asked.input] if asked.input else []
        texts = await tokens_of(model, given, "input", is_list=is_list, cut=cut) if given else []
        return self._answer(request, asked, model, texts, "input", self._vectors(model, record_of(request), texts))

    async def embed_one(self, request: Request) -> Any:
        """`POST /api/embeddings`."""
        asked = await accepted_for_model(request, self._services, EmbedOneBody, EMBED)
        model = self._model(asked)
        given = [asked.prompt] if asked.prompt else []
        texts = await tokens_of(model, given, "prompt", is_list=False, cut=_ALL_THAT_FITS) if given else []

        def fields(vectors: Sequence[bytes]) -> dict[str, Any]:
            return {"embedding": numbers_of(vectors[0]) if vectors else []}

        return self._answer(request, asked, model, texts, "prompt", fields)

    def _model(self, asked: EmbedBody | EmbedOneBody) -> EmbeddingModel:
        models = self._services.models
        return models.embedder(known_name(models, asked.model))

    @staticmethod
    def _vectors(
        model: EmbeddingModel, record: Record, texts: Sequence[Sequence[int]]
    ) -> Callable[[Sequence[bytes]], dict[str, Any]]:
        def fields(vectors: Sequence[bytes]) -> dict[str, Any]:
            return {
                "model": model.name,
                "embeddings": [_of_length_one(numbers_of(vector), model) for vector in vectors],
                "total_duration": round(record.elapsed_ms * _NS_A_MS),
                "load_duration": round(record.fields.get("load_ms", 0.0) * _NS_A_MS),
                "prompt_eval_count": sum(map(len, texts)),
            }

        return fields

    def _answer(
        self,
        request: Request,
        asked: EmbedBody | EmbedOneBody,
        model: EmbeddingModel,
        texts: Sequence[Sequence[int]],
        param: str,
        fields: Callable[[Sequence[bytes]], dict[str, Any]],
    ) -> HttpAnswer[bytes]:
        """The vectors of the texts; without texts, the model is only loaded."""
        services, record = self._services, record_of(request)
        limit_s, keep_s = services.settings.timeout_s, asked.keep_alive
        if texts:
            wanted = EmbeddingRequest(f"embd-{uuid.uuid4().hex}", model.name, texts, limit_s, keep_s)
            answering = services.answering.embed(record, wanted, param)
        else:
            answering = services.answering.load(record, model.name, limit_s, keep_s)
        return HttpAnswer(
            answering, _EmbeddingEncoder(model, _dimensions(asked), fields), record, failure_line, pulse=None
        )


def _dimensions(asked: EmbedBody | EmbedOneBody) -> int | None:
    return asked.dimensions if isinstance(asked, EmbedBody) else None


class _EmbeddingEncoder(WholeEncoder):
    """Encodes the vectors of one request. The answer is never streamed."""

    def __init__(
        self, model: EmbeddingModel, dimensions: int | None, fields: Callable[[Sequence[bytes]], dict[str, Any]]
    ) -> None:
        """`dimensions` are those of the vectors; `fields` returns the fields of the answer with these vectors."""
        self._model = model
        self._dimensions = dimensions
        self._fields = fields

    def document(self, pieces: Sequence[bytes]) -> bytes:
        """The whole answer."""
        vectors = [vector for content in pieces for vector in vectors_of(self._model, content, self._dimensions)]
        return encode(self._fields(vectors)).encode()


def _of_length_one(numbers: list[float], model: EmbeddingModel) -> list[float]:
    """The vector with the length 1, which this endpoint promises for every model."""
    length = 1.0 if model.task.normalised else math.hypot(*numbers)
    return [number / length for number in numbers] if length not in {0.0, 1.0} else numbers
