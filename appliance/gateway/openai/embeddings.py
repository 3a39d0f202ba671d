"""The endpoint of OpenAI's embeddings."""

from __future__ import annotations

import array
import base64
import math
import struct
import sys
import uuid
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from appliance.artefact.manifest import DOCUMENT, QUERY
from appliance.errors import PromptTooLongError, RequestError
from appliance.gateway.bodies.parameter_policy import ParameterPolicy
from appliance.gateway.bodies.sampling import TokenId
from appliance.gateway.bodies.strict import Many, Strict
from appliance.gateway.chat.embedding_model import EmbeddingModel
from appliance.gateway.http.accepted_body import accepted_for_model
from appliance.gateway.http.answer import HttpAnswer
from appliance.gateway.http.json_text import encode
from appliance.gateway.http.rim import record_of
from appliance.gateway.openai.failure import failure_event
from appliance.gateway.services import Services
from appliance.gateway.triton.embedding_call import EmbeddingRequest

# OpenAI's limits.
MAX_TEXTS = 2048
MAX_TOKENS = 300_000
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
        _check_dimensions(model, asked.dimensions)
        texts = await _texts(model, asked)
        identity = f"embd-{uuid.uuid4().hex}"
        wanted = EmbeddingRequest(identity, model.name, texts, self._services.settings.timeout_s)
        answering = self._services.answering.embed(record_of(request), wanted, "input")
        encoder = EmbeddingEncoder(
            model, sum(map(len, texts)), as_base64=asked.encoding_format == "base64", dimensions=asked.dimensions
        )
        return HttpAnswer(answering, encoder, record_of(request), failure_event, pulse=None)


class EmbeddingEncoder:
    """Encodes the vectors of one request; see `AnswerEncoder`. This answer is never streamed."""

    def __init__(self, model: EmbeddingModel, tokens: int, *, as_base64: bool, dimensions: int | None = None) -> None:
        """`tokens` is the number of tokens of all texts, `dimensions` that of the client's vectors; None: all."""
        self._model = model
        self._dimensions = dimensions or model.task.dimensions
        self._tokens = tokens
        self._as_base64 = as_base64

    def head(self) -> bytes:
        """Nothing."""
        return b""

    def events(self, _vectors: bytes) -> bytes:
        """Nothing."""
        return b""

    def tail(self) -> bytes:
        """Nothing."""
        return b""

    def document(self, pieces: Sequence[bytes]) -> bytes:
        """The whole answer."""
        (content,) = pieces
        size = 4 * self._model.task.dimensions
        vectors = [content[start : start + size] for start in range(0, len(content), size)]
        data = [
            {"object": "embedding", "index": index, "embedding": self._shown(vector)}
            for index, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": self._tokens, "total_tokens": self._tokens}
        return encode({"object": "list", "data": data, "model": self._model.name, "usage": usage}).encode()

    def _shown(self, vector: bytes) -> str | list[float]:
        if self._dimensions < self._model.task.dimensions:
            vector = self._cut(vector)
        if self._as_base64:
            return base64.b64encode(vector).decode()
        return _numbers(vector).tolist()

    def _cut(self, vector: bytes) -> bytes:
        """The first dimensions of a vector, which has the length 1 again if it had it."""
        numbers = _numbers(vector)[: self._dimensions]
        if self._model.task.normalised:
            length = math.hypot(*numbers) or 1.0
            numbers = array.array("f", [number / length for number in numbers])
        return struct.pack(f"<{len(numbers)}f", *numbers)


def _numbers(vector: bytes) -> array.array[float]:
    numbers = array.array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _check_dimensions(model: EmbeddingModel, wanted: int | None) -> None:
    """Check that the model's vectors may have so few dimensions.

    Raises:
        RequestError: they may not.
    """
    most, least = model.task.dimensions, model.task.least_dimensions
    if wanted is None or wanted == most or (least is not None and least <= wanted < most):
        return
    can = "cannot be shortened" if least is None else f"can be shortened to {least} or more"
    raise RequestError(
        f"dimensions {wanted} is not supported: the vectors of {model.name} have {most} dimensions, and {can}",
        param="dimensions",
    )


async def _texts(model: EmbeddingModel, asked: EmbeddingBody) -> list[list[int]]:
    """The tokens of each text.

    Raises:
        RequestError: there is no text, or there are too many; or see `EmbeddingModel.tokens`.
        PromptTooLongError: the texts have too many tokens together; or see `EmbeddingModel.tokens`.
    """
    given = _listed(asked.input)
    if not given:
        raise RequestError("input is empty", param="input")
    if len(given) > MAX_TEXTS:
        raise RequestError(
            f"input has {len(given)} texts; the limit is {MAX_TEXTS}", hint="send several requests", param="input"
        )
    if asked.truncate_prompt_tokens == 0:
        raise RequestError("truncate_prompt_tokens 0 leaves no text", param="truncate_prompt_tokens")
    purpose = _PURPOSES[asked.input_type] if asked.input_type else ""
    texts, total = [], 0
    for place, one in enumerate(given):
        param = f"input[{place}]" if given is asked.input else "input"
        ids = await model.tokens(one, param, purpose=purpose, cut=asked.truncate_prompt_tokens)
        total += len(ids)
        if total > MAX_TOKENS:
            raise PromptTooLongError(
                f"input has more than {MAX_TOKENS} tokens together", hint="send several requests", param="input"
            )
        texts.append(ids)
    return texts


def _listed(given: str | list[str] | list[int] | list[list[int]]) -> Sequence[str | Sequence[int]]:
    """The texts, one by one; `given` itself if it is a list of texts."""
    if isinstance(given, str) or (given and isinstance(given[0], int)):
        return [given]
    return given  # type: ignore[return-value]
