"""Documents in the order of their relevance to a query: the requests of Cohere, Jina and vLLM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from appliance.errors import RequestError
from appliance.gateway.bodies.strict import Many, Strict
from appliance.gateway.http.accepted_body import accepted_for_model
from appliance.gateway.http.answer import HttpAnswer
from appliance.gateway.http.error_shape import ErrorShape
from appliance.gateway.http.json_text import encode
from appliance.gateway.http.rim import record_of
from appliance.gateway.http.whole_encoder import WholeEncoder
from appliance.gateway.openai.failure import failure_event, failure_response
from appliance.gateway.openai.pairs import POLICY, Limits, pairs, request_of, scores
from appliance.gateway.services import Services
from appliance.gateway.triton.reranking_request import RerankingRequest

_COHERE = "/v2/rerank"
# The other paths below /v2 belong to Triton's API.
SHAPE = ErrorShape(lambda request: request.url.path == _COHERE, failure_response)


class Document(Strict):
    """A document as an object."""

    text: str = Field(description="required; the document")


class RerankBody(Strict):
    """Body of `/v1/rerank` and `/v2/rerank`."""

    model: str = Field(description="required; a reranker of `/v1/models`")
    query: str = Field(description="required; the question")
    documents: Many[str | Document] = Field(description="required; texts, or objects with `text`")
    top_n: int | None = Field(None, ge=0, le=1 << 20, description="the number of results; default, and 0: all")
    return_documents: bool | None = Field(None, description="add the document to each result; default false")
    max_tokens_per_doc: int | None = Field(
        None, ge=1, le=1 << 20, description="as in Cohere's API; tokens to keep of each document"
    )
    truncate_prompt_tokens: int | None = Field(
        None, ge=-1, le=1 << 20, description="as in vLLM; tokens to keep of each pair; -1: as many as fit"
    )
    use_activation: bool | None = Field(None, description="as in vLLM; false: logits instead of their sigmoid")

    @property
    def texts(self) -> list[str]:
        """The documents as texts."""
        return [one if isinstance(one, str) else one.text for one in self.documents]


class RerankApi:
    """See the module."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [Route(path, self.rerank, methods=["POST"]) for path in ("/v1/rerank", _COHERE)]

    async def rerank(self, request: Request) -> Any:
        """`POST /v1/rerank`, `POST /v2/rerank`."""
        asked = await accepted_for_model(request, self._services, RerankBody, POLICY)
        model = self._services.models.reranker(asked.model)
        if not asked.documents:
            raise RequestError("documents is empty", param="documents")
        texts = [((asked.query, "query"), (text, f"documents[{place}]")) for place, text in enumerate(asked.texts)]
        made = await pairs(model, texts, Limits(asked.truncate_prompt_tokens, asked.max_tokens_per_doc))
        wanted = request_of(model, made, "rerank", self._services.settings.timeout_s)
        answering = self._services.answering.embed(record_of(request), wanted, "documents")
        return HttpAnswer(answering, RerankEncoder(asked, wanted), record_of(request), failure_event, pulse=None)


class RerankEncoder(WholeEncoder):
    """Encodes the results of one request. The answer is never streamed."""

    def __init__(self, asked: RerankBody, wanted: RerankingRequest) -> None:
        """`asked` is the client's request, `wanted` the one that the model got."""
        self._asked = asked
        self._wanted = wanted

    def document(self, pieces: Sequence[bytes]) -> bytes:
        """The whole answer, the most relevant document first."""
        (content,) = pieces
        logits = scores(content, use_activation=False)
        shown = scores(content, use_activation=self._asked.use_activation)
        # The sigmoid of two large logits can be the same number.
        order = sorted(range(len(logits)), key=lambda index: -logits[index])[: self._asked.top_n or None]
        texts = self._asked.texts
        results = [
            {
                "index": index,
                "relevance_score": shown[index],
                **({"document": {"text": texts[index]}} if self._asked.return_documents else {}),
            }
            for index in order
        ]
        tokens = sum(map(len, self._wanted.texts))
        answer = {
            "id": self._wanted.request_id,
            "model": self._wanted.model,
            "results": results,
            "meta": {"tokens": {"input_tokens": tokens, "output_tokens": 0}},
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
        return encode(answer).encode()
