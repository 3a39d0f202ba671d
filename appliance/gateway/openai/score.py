"""The score of each pair of texts: vLLM's endpoint."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from pydantic import Field
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from appliance.errors import RequestError
from appliance.gateway.bodies.strict import Many, Strict
from appliance.gateway.http.accepted_body import accepted_for_model
from appliance.gateway.http.answer import HttpAnswer
from appliance.gateway.http.json_text import encode
from appliance.gateway.http.rim import record_of
from appliance.gateway.http.whole_encoder import WholeEncoder
from appliance.gateway.openai.failure import failure_event
from appliance.gateway.openai.pairs import POLICY, Limits, pairs, request_of, scores
from appliance.gateway.services import Services
from appliance.gateway.triton.reranking_request import RerankingRequest


class ScoreBody(Strict):
    """Body of `/v1/score`."""

    model: str = Field(description="required; a reranker of `/v1/models`")
    text_1: str | Many[str] = Field(description="required; a query, or a list with one for each text of `text_2`")
    text_2: str | Many[str] = Field(description="required; a document, or a list")
    truncate_prompt_tokens: int | None = Field(
        None, ge=-1, le=1 << 20, description="as in vLLM; tokens to keep of each pair; -1: as many as fit"
    )
    use_activation: bool | None = Field(None, description="as in vLLM; false: logits instead of their sigmoid")


class ScoreApi:
    """See the module."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[BaseRoute]:
        """The route."""
        return [Route("/v1/score", self.score, methods=["POST"])]

    async def score(self, request: Request) -> Any:
        """`POST /v1/score`."""
        asked = await accepted_for_model(request, self._services, ScoreBody, POLICY)
        model = self._services.models.reranker(asked.model)
        made = await pairs(model, _texts(asked), Limits(asked.truncate_prompt_tokens))
        wanted = request_of(model, made, "score", self._services.settings.timeout_s)
        answering = self._services.answering.embed(record_of(request), wanted, "text_2")
        return HttpAnswer(answering, ScoreEncoder(asked, wanted), record_of(request), failure_event, pulse=None)


class ScoreEncoder(WholeEncoder):
    """Encodes the scores of one request. The answer is never streamed."""

    def __init__(self, asked: ScoreBody, wanted: RerankingRequest) -> None:
        """`asked` is the client's request, `wanted` the one that the model got."""
        self._asked = asked
        self._wanted = wanted
        self._created = int(time.time())

    def document(self, pieces: Sequence[bytes]) -> bytes:
        """The whole answer."""
        (content,) = pieces
        found = scores(content, use_activation=self._asked.use_activation)
        tokens = sum(map(len, self._wanted.texts))
        answer = {
            "id": self._wanted.request_id,
            "object": "list",
            "created": self._created,
            "model": self._wanted.model,
            "data": [{"index": index, "object": "score", "score": score} for index, score in enumerate(found)],
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
        return encode(answer).encode()


def _texts(asked: ScoreBody) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Both texts of each pair with their names.

    Raises:
        RequestError: a list is empty, or the lists have different lengths.
    """
    first, second = _named(asked.text_1, "text_1"), _named(asked.text_2, "text_2")
    if isinstance(asked.text_1, str):
        first *= len(second)
    if len(first) != len(second):
        raise RequestError(
            f"text_1 has {len(first)} texts and text_2 has {len(second)}",
            hint="send one text as text_1, or lists of the same length",
            param="text_1",
        )
    return list(zip(first, second, strict=True))


def _named(given: str | list[str], name: str) -> list[tuple[str, str]]:
    if isinstance(given, str):
        return [(given, name)]
    if not given:
        raise RequestError(f"{name} is empty", param=name)
    return [(text, f"{name}[{place}]") for place, text in enumerate(given)]
