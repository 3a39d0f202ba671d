"""The endpoint of OpenAI's embeddings."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from appliance.artefact.manifest import DOCUMENT, QUERY
from appliance.errors import RequestError
from appliance.gateway.bodies.parameter_policy import ParameterPolicy
from appliance.gateway.bodies.sampling import TokenId
from appliance.gateway.bodies.strict import Many, Strict
from appliance.gateway.chat.embedding_model import EmbeddingModel
from appliance.gateway.chat.embedding_texts import check_dimensions, numbers_of, tokens_of, vectors_of
from appliance.gateway.http.accepted_body import accepted_for_model
from appliance.gateway.http.answer import HttpAnswer
from appliance.gateway.http.json_text import encode
from appliance.gateway.http.rim import record_of
from appliance.gateway.http.whole_encoder import WholeEncoder
from appliance.gateway.openai.failure import failure_event
from appliance.gateway.services import Services
from appliance.gateway.triton.embedding_call import EmbeddingRequest

_PURPOSES = {"query": QUERY, "document": DOCUMENT, "passage": DOCUMENT}
POLICY = ParameterPolicy()


class EmbeddingBody(Strict):
    """Body of `/v1/embeddings`."""

    model: str = Field(description="required; an embedding model of `/v1/models`")
    input: str | Many[str] | Many[TokenId] | Many[Many[TokenId]] = Field(
        description="required; a text, its tokens, or a list of either"
    )
    encoding_format: Literal["float", "base64"] | None = Field(
        None, description="`base64`: the bytes of the float32 numbers, little-endian"
    )
    dimensions: int | None = Field(
        None,
        ge=1,
        le=1 << 20,
        description="those of the model, or fewer if its vectors can be shortened",
    )
    input_type: Literal["query", "document", "passage"] | None = Field(
        None, description="what the texts are, for models that expect a prefix; default: no prefix"
    )
    truncate_prompt_tokens: int | None = Field(
        None, ge=-1, le=1 << 20, description="as in vLLM; tokens to keep of each text; -1: as many as fit"
    )


class EmbeddingsApi:
    """See the module."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[BaseRoute]:
        """The route."""
        return [Route("/v1/embeddings", self.embeddings, methods=["POST"])]

    async def embeddings(self, request: Request) -> Any:
        """`POST /v1/embeddings`."""
        asked = await accepted_for_model(request, self._services, EmbeddingBody, POLICY)
        model = self._services.models.embedder(asked.model)
        check_dimensions(model, asked.dimensions)
        texts = await _texts(model, asked)
        identity = f"embd-{uuid.uuid4().hex}"
        wanted = EmbeddingRequest(identity, model.name, texts, self._services.settings.timeout_s)
        answering = self._services.answering.embed(record_of(request), wanted, "input")
        encoder = EmbeddingEncoder(
            model, sum(map(len, texts)), as_base64=asked.encoding_format == "base64", dimensions=asked.dimensions
        )
        return HttpAnswer(answering, encoder, record_of(request), failure_event, pulse=None)


class EmbeddingEncoder(WholeEncoder):
    """Encodes the vectors of one request. The answer is never streamed."""

    def __init__(self, model: EmbeddingModel, tokens: int, *, as_base64: bool, dimensions: int | None = None) -> None:
        """`tokens` is the number of tokens of all texts, `dimensions` that of the client's vectors; None: all."""
        self._model = model
        self._dimensions = dimensions
        self._tokens = tokens
        self._as_base64 = as_base64

    def document(self, pieces: Sequence[bytes]) -> bytes:
        """The whole answer."""
        (content,) = pieces
        data = [
            {"object": "embedding", "index": index, "embedding": self._shown(vector)}
            for index, vector in enumerate(vectors_of(self._model, content, self._dimensions))
        ]
        usage = {"prompt_tokens": self._tokens, "total_tokens": self._tokens}
        return encode({"object": "list", "data": data, "model": self._model.name, "usage": usage}).encode()

    def _shown(self, vector: bytes) -> str | list[float]:
        return base64.b64encode(vector).decode() if self._as_base64 else numbers_of(vector)


async def _texts(model: EmbeddingModel, asked: EmbeddingBody) -> list[list[int]]:
    """The tokens of each text; raises as `tokens_of` does."""
    given = _listed(asked.input)
    if asked.truncate_prompt_tokens == 0:
        raise RequestError("truncate_prompt_tokens 0 leaves no text", param="truncate_prompt_tokens")
    purpose = _PURPOSES[asked.input_type] if asked.input_type else ""
    cut, is_list = asked.truncate_prompt_tokens, given is asked.input
    return await tokens_of(model, given, "input", is_list=is_list, purpose=purpose, cut=cut)


def _listed(given: str | list[str] | list[int] | list[list[int]]) -> Sequence[str | Sequence[int]]:
    """The texts, one by one; `given` itself if it is a list of texts."""
    if isinstance(given, str) or (given and isinstance(given[0], int)):
        return [given]
    return given  # type: ignore[return-value]
