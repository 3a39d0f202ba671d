"""The cheap endpoints: tokens, and the estimated wait of a request. They use no model and no queue."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance.errors import RequestError
from appliance.gateway.bodies.messages import for_template
from appliance.gateway.bodies.parameter_policy import ParameterPolicy
from appliance.gateway.bodies.tools import tools_of
from appliance.gateway.chat.continuation import is_continuable
from appliance.gateway.chat.prepare import tokenize
from appliance.gateway.chat.request import ChatRequest
from appliance.gateway.chat.served_model import ServedModel
from appliance.gateway.http.accepted_body import accepted_for_gateway
from appliance.gateway.http.json_text import encode
from appliance.gateway.inquiry.schema import TOKENIZE_POLICY, DetokenizeBody, TokenizeBody
from appliance.gateway.services import Services

_INLINE_TOKENS = 4096


class InquiryApi:
    """The endpoints."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        """The routes, including vLLM's own paths."""
        return [
            *(Route(path, self.tokenize, methods=["POST"]) for path in ("/tokenize", "/v1/tokenize")),
            *(Route(path, self.detokenize, methods=["POST"]) for path in ("/detokenize", "/v1/detokenize")),
            Route("/tokenizer_info", self.tokenizer, methods=["GET"]),
            Route("/v1/models/{name}/queue", self.queue, methods=["GET"]),
        ]

    async def tokenize(self, request: Request) -> Response:
        """`POST /v1/tokenize`."""
        asked = await accepted_for_gateway(request, self._services, TokenizeBody, TOKENIZE_POLICY)
        model = self._services.models.get_or_only(asked.model)
        ids = await _tokens(model, asked)

        answer = functools.partial(_tokens_document, model, ids, with_texts=bool(asked.return_token_strs))
        content = answer() if len(ids) < _INLINE_TOKENS else await asyncio.to_thread(answer)
        return Response(content, media_type="application/json")

    async def detokenize(self, request: Request) -> Response:
        """`POST /v1/detokenize`."""
        asked = await accepted_for_gateway(request, self._services, DetokenizeBody, ParameterPolicy())
        model = self._services.models.get_or_only(asked.model)
        return JSONResponse({"prompt": await model.detokenize(asked.tokens, "tokens")})

    async def tokenizer(self, request: Request) -> Response:
        """`GET /tokenizer_info`: what vLLM's clients need to build prompts by themselves."""
        model = self._services.models.get_or_only(request.query_params.get("model"))
        template = None if model.template is None else model.template.source
        return JSONResponse(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "bos_token": model.manifest.generation.bos_token or None,
                "eos_token": model.eos_token,
                "chat_template": template,
                "model_max_length": model.manifest.shape.context_tokens,
            }
        )

    async def queue(self, request: Request) -> Response:
        """`GET /v1/models/{name}/queue`."""
        model = self._services.models.get(request.path_params["name"])
        estimate = self._services.waits.estimate(model.name)
        return JSONResponse(
            {
                "object": "queue",
                "model": model.name,
                "requests": estimate.requests,
                "slots": estimate.slots,
                "wait_s": estimate.wait_s,
                "basis": {"finished_requests": estimate.finished, "median_service_s": estimate.service_s},
            }
        )


async def _tokens(model: ServedModel, asked: TokenizeBody) -> list[int]:
    """The tokens of the prompt or the conversation.

    Raises:
        RequestError: neither is given, or both, or a parameter that belongs to the other.
    """
    if asked.messages is None:
        if asked.prompt is None:
            raise RequestError("the request needs prompt or messages", param="prompt")
        for name in ("add_generation_prompt", "tools"):
            if getattr(asked, name) is not None:
                raise RequestError(f"{name} needs messages", param=name)
        return await model.tokenize_text(asked.prompt, add_special_tokens=asked.add_special_tokens is not False)
    if asked.prompt is not None:
        raise RequestError("prompt and messages cannot be used together", param="prompt")
    if asked.add_special_tokens:
        raise RequestError(
            "add_special_tokens must be false with messages: the chat template adds these tokens",
            param="add_special_tokens",
        )
    messages = for_template(asked.messages)
    continues = asked.add_generation_prompt is None and is_continuable(messages)
    return await tokenize(model, ChatRequest(messages, tools_of(asked.tools), continues=continues))


def _tokens_document(model: ServedModel, ids: list[int], *, with_texts: bool) -> bytes:
    """The answer in JSON, encoded in pieces so that other streams continue: there may be half a million tokens."""
    most = model.manifest.shape.context_tokens
    texts = _json_list(ids, model.tokenizer.id_to_token) if with_texts else "null"
    tokens = _json_list(ids, int)
    document = f'{{"count":{len(ids)},"max_model_len":{most},"tokens":{tokens},"token_strs":{texts}}}'
    return document.encode()


def _json_list(ids: list[int], value: Callable[[int], Any]) -> str:
    pieces = (ids[start : start + _INLINE_TOKENS] for start in range(0, len(ids), _INLINE_TOKENS))
    return f"[{','.join(encode([value(token) for token in piece])[1:-1] for piece in pieces)}]"
