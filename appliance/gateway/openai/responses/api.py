"""The endpoints of OpenAI's Responses API: answers, and stored answers."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance.errors import RequestError
from appliance.gateway.access.request_quota import current
from appliance.gateway.bodies import json_body as body
from appliance.gateway.chat.delta_encoder import DeltaEncoder
from appliance.gateway.chat.prepare import prepare, tokenize
from appliance.gateway.http.accepted_body import accepted_for_gateway, accepted_for_model
from appliance.gateway.http.answer import HttpAnswer
from appliance.gateway.http.event_stream import Pulse
from appliance.gateway.http.ignored import note_ignored
from appliance.gateway.http.rim import record_of
from appliance.gateway.openai.responses.conversation import Turn, items_of, new_id, turns_of, with_output
from appliance.gateway.openai.responses.encoder import ResponseEncoder
from appliance.gateway.openai.responses.offered import left_out, offered_tools
from appliance.gateway.openai.responses.parameters import POLICY
from appliance.gateway.openai.responses.request import chat_request, echo, response_sampling
from appliance.gateway.openai.responses.schema import PageQuery, PromptFields, ResponseBody
from appliance.gateway.openai.responses.store import Bounds, KeptResponse, ResponseStore
from appliance.gateway.refusals import LostConversationError, UnknownResponseError
from appliance.gateway.services import Services

_PATH = "/v1/responses"


class ResponsesApi:
    """The endpoints, and the store of their answers."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._store = ResponseStore(Bounds(), time.monotonic)

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route(_PATH, self.create, methods=["POST"]),
            Route(f"{_PATH}/input_tokens", self.count, methods=["POST"]),
            Route(f"{_PATH}/{{response_id}}", self.retrieve, methods=["GET"]),
            Route(f"{_PATH}/{{response_id}}", self.delete, methods=["DELETE"]),
            Route(f"{_PATH}/{{response_id}}/input_items", self.input_items, methods=["GET"]),
        ]

    async def create(self, request: Request) -> Any:
        """`POST /v1/responses`."""
        asked = await accepted_for_model(request, self._services, ResponseBody, POLICY)
        services = self._services
        model = services.models.get(asked.model)
        turns = self._turns(asked)
        settings = response_sampling(asked, model.manifest.generation)
        offered = offered_tools(asked.tools)
        prepared = await prepare(model, chat_request(asked, turns, offered))
        note_ignored(request, [*prepared.ignored, *left_out(asked.tools)])
        response_id = new_id("resp")
        principal = _principal()

        def keep(fields: Mapping[str, Any], document: bytes) -> None:
            if asked.store is not False:
                whole = with_output(turns, fields["output"], continues=prepared.continues)
                self._store.keep(principal, response_id, KeptResponse(document, items_of(asked.input), whole))

        encoder = ResponseEncoder(
            response_id,
            int(time.time()),
            echo(asked, settings, model.name),
            alternatives=settings.get("logprobs"),
            offered=offered,
            tokens=model.token_bytes,
            count_tokens=lambda text: len(model.tokenizer.encode(text, add_special_tokens=False).ids),
            keep=keep,
        )
        completion = services.request(
            response_id,
            model,
            prepared.prompt_ids,
            prepared.settings(settings),
            stream=bool(asked.stream),
            client_names={**prepared.client_names, "max_tokens": "max_output_tokens", "logprobs": "top_logprobs"},
        )
        delta_encoder = DeltaEncoder(encoder, prepared.reader())
        record = record_of(request)
        answering = services.answering.complete(record, completion, prepared.check)
        pulse = Pulse.of(services.settings) if completion.stream else None
        return HttpAnswer(answering, delta_encoder, record, encoder.failure, pulse=pulse, unheld=prepared.unheld)

    async def count(self, request: Request) -> Response:
        """`POST /v1/responses/input_tokens`: the number of tokens of an input. It does not wait for the model."""
        asked = await accepted_for_gateway(request, self._services, PromptFields, POLICY)
        model = self._services.models.get(asked.model)
        note_ignored(request, left_out(asked.tools))
        tokens = await tokenize(model, chat_request(asked, self._turns(asked), offered_tools(asked.tools)))
        return JSONResponse({"object": "response.input_tokens", "input_tokens": len(tokens)})

    async def retrieve(self, request: Request) -> Response:
        """`GET /v1/responses/{id}`."""
        for name in request.query_params:
            raise RequestError(
                f"{name} is not supported: a stored response can only be returned completely", param=name
            )
        kept = self._store.get(_principal(), request.path_params["response_id"])
        return Response(kept.document, media_type="application/json")

    async def delete(self, request: Request) -> Response:
        """`DELETE /v1/responses/{id}`."""
        response_id = request.path_params["response_id"]
        self._store.delete(_principal(), response_id)
        return JSONResponse({"id": response_id, "object": "response", "deleted": True})

    async def input_items(self, request: Request) -> Response:
        """`GET /v1/responses/{id}/input_items`."""
        asked = body.check(PageQuery, body.query_fields(request.query_params))
        kept = self._store.get(_principal(), request.path_params["response_id"])
        items = list(kept.input_items) if asked.order == "asc" else list(reversed(kept.input_items))
        if asked.after is not None:
            ids = [item["id"] for item in items]
            if asked.after not in ids:
                raise RequestError(f"after: there is no item {asked.after!r}", param="after")
            items = items[ids.index(asked.after) + 1 :]
        page = items[: asked.limit]
        ends = {"first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None}
        return JSONResponse({"object": "list", "data": page, **ends, "has_more": len(page) < len(items)})

    def _turns(self, asked: PromptFields) -> list[Turn]:
        """The whole conversation.

        Raises:
            LostConversationError: the previous answer is not stored.
            RequestError: see `turns_of`.
        """
        return turns_of(asked.input, self._earlier(asked.previous_response_id))

    def _earlier(self, response_id: str | None) -> Sequence[Turn]:
        if response_id is None:
            return ()
        try:
            return self._store.get(_principal(), response_id).turns
        except UnknownResponseError as error:
            raise LostConversationError(error.message, hint=error.hint, param="previous_response_id") from error


def _principal() -> str:
    """The name of the principal to which the answers belong."""
    return current().principal.name
