"""The endpoints of OpenAI's Responses API: answers, and stored answers."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance.errors import RequestError
from appliance.gateway.access.request_quota import current
from appliance.gateway.bodies import json_body as body
from appliance.gateway.chat.delta_encoder import DeltaEncoder
from appliance.gateway.chat.prepare import ignored, prepare, tokenize
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
from appliance.gateway.openai.responses.schema import Item, ItemReference, PageQuery, PromptFields, ResponseBody
from appliance.gateway.openai.responses.store import Bounds, KeptResponse, ResponseStore
from appliance.gateway.refusals import LostConversationError, UnknownResponseError
from appliance.gateway.services import Services

_PATH = "/v1/responses"
_ITEM: TypeAdapter[Item] = TypeAdapter(Item)


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
        items = self._items(asked)
        turns = turns_of(items, self._earlier(asked.previous_response_id))
        settings = response_sampling(asked, model.manifest.generation)
        offered = offered_tools(asked.tools)
        prepared = await prepare(model, chat_request(asked, turns, offered))
        note_ignored(request, [*prepared.ignored, *left_out(asked.tools)])
        response_id = new_id("resp")
        principal = _principal()

        def keep(fields: Mapping[str, Any], document: bytes) -> None:
            if asked.store is not False:
                whole = with_output(turns, fields["output"], continues=prepared.continues)
                kept = KeptResponse(document, items_of(items), fields["output"], whole)
                self._store.keep(principal, response_id, kept)

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
            [prepared.prompt_ids],
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
        turns = turns_of(self._items(asked), self._earlier(asked.previous_response_id))
        chat = chat_request(asked, turns, offered_tools(asked.tools))
        note_ignored(request, [*ignored(model, chat), *left_out(asked.tools)])
        tokens = await tokenize(model, chat)
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

    def _items(self, asked: PromptFields) -> str | list[Item]:
        """The input, with stored items instead of references.

        Raises:
            RequestError: an item is not stored, or is referred to twice.
        """
        if isinstance(asked.input, str):
            return asked.input
        found: list[Item] = []
        seen: set[str] = set()
        for position, item in enumerate(asked.input):
            if not isinstance(item, ItemReference):
                found.append(item)
                continue
            stored = None if item.id in seen else self._store.item(_principal(), item.id)
            if stored is None:
                where = f"input[{position}].id"
                reason = "has been used before" if item.id in seen else "is not stored"
                raise RequestError(f"{where}: the item {item.id!r} {reason}", hint="send the item itself", param=where)
            # Each item at most once: otherwise a small request could become a huge conversation.
            seen.add(item.id)
            found.append(_ITEM.validate_python(stored))
        return found

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
