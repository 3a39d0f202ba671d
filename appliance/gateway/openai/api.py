"""The endpoints of OpenAI's chat, completions and embeddings."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from appliance.errors import RequestError
from appliance.gateway.bodies.parameter_policy import ParameterPolicy
from appliance.gateway.chat.dialect import Dialect
from appliance.gateway.chat.infilling import encode_infilling
from appliance.gateway.chat.prepare import Prepared, prepare
from appliance.gateway.chat.reader import Reader
from appliance.gateway.chat.served_model import ServedModel
from appliance.gateway.http.accepted_body import accepted_for_model
from appliance.gateway.http.answer import HttpAnswer
from appliance.gateway.http.event_stream import Pulse
from appliance.gateway.http.ignored import note_ignored
from appliance.gateway.http.rim import record_of
from appliance.gateway.openai.chat_encoder import ChatEncoder
from appliance.gateway.openai.chat_request import chat_request
from appliance.gateway.openai.choice_encoder import ChoiceEncoder, Envelope
from appliance.gateway.openai.completion_encoder import CompletionEncoder
from appliance.gateway.openai.failure import failure_event
from appliance.gateway.openai.parameters import CHAT, COMPLETIONS, POLICIES
from appliance.gateway.openai.sampling import chat_sampling, completion_sampling, within_context
from appliance.gateway.openai.schema import ChatBody, CompletionBody, EmbeddingBody
from appliance.gateway.services import Services
from appliance.gateway.triton.completion import CompletionRequest, Delta


class OpenAiApi:
    """The endpoints."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[BaseRoute]:
        """The routes of chat, completions and embeddings."""
        return [
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/v1/completions", self.completions, methods=["POST"]),
            Route("/v1/embeddings", self.embeddings, methods=["POST"]),
        ]

    async def chat(self, request: Request) -> Any:
        """`POST /v1/chat/completions`."""
        asked = await accepted_for_model(request, self._services, ChatBody, POLICIES[CHAT])
        model = self._services.models.get(asked.model)
        settings = chat_sampling(asked, model.manifest.generation)
        prepared = await prepare(model, chat_request(asked))
        note_ignored(request, prepared.ignored)
        completion = self._services.request(
            _new_id(ChatEncoder),
            model,
            prepared.prompt_ids,
            within_context(prepared.settings(settings), len(prepared.prompt_ids), asked.num_ctx),
            stream=bool(asked.stream),
            client_names=prepared.client_names,
            choices=asked.n or 1,
        )
        return self._answer(request, asked, model, completion, ChatEncoder, prepared.reader, prepared)

    async def completions(self, request: Request) -> Any:
        """`POST /v1/completions`."""
        asked = await accepted_for_model(request, self._services, CompletionBody, POLICIES[COMPLETIONS])
        model = self._services.models.get(asked.model)
        settings = completion_sampling(asked, model.manifest.generation)
        prompt = _one_prompt(asked.prompt)
        if asked.suffix:
            ids = await encode_infilling(model, prompt, asked.suffix)
        else:
            ids = await model.encode_text(prompt) if isinstance(prompt, str) else model.check_ids(prompt)
        settings = within_context(settings, len(ids), asked.num_ctx)
        completion = self._services.request(
            _new_id(CompletionEncoder), model, ids, settings, stream=bool(asked.stream), choices=asked.n or 1
        )
        return self._answer(request, asked, model, completion, CompletionEncoder, lambda: Reader(Dialect()))

    async def embeddings(self, request: Request) -> Any:
        """`POST /v1/embeddings`."""
        asked = await accepted_for_model(request, self._services, EmbeddingBody, ParameterPolicy())
        model = self._services.models.get(asked.model)
        raise RequestError(
            f"{model.name} is a language model; no embedding model is installed",
            hint="the catalogue has no embedding model yet",
            param="model",
        )

    def _answer(
        self,
        request: Request,
        asked: ChatBody | CompletionBody,
        model: ServedModel,
        completion: CompletionRequest,
        kind: type[ChoiceEncoder],
        reader: Callable[[], Reader],
        prepared: Prepared | None = None,
    ) -> HttpAnswer[Delta]:
        encoder = kind(
            Envelope(completion.request_id, int(time.time()), model.name, model.fingerprint),
            [reader() for _ in range(completion.choices)],
            include_usage=bool(asked.stream_options and asked.stream_options.include_usage),
            alternatives=completion.sampling.get("logprobs"),
            tokens=model.token_bytes,
        )
        record = record_of(request)
        check = prepared.check if prepared is not None else None
        unheld = prepared.unheld if prepared is not None else None
        answering = self._services.answering.complete(record, completion, check)
        pulse = Pulse.of(self._services.settings) if completion.stream else None
        return HttpAnswer(answering, encoder, record, failure_event, pulse=pulse, unheld=unheld)


def _new_id(kind: type[ChoiceEncoder]) -> str:
    """A new id of an answer of this kind."""
    return kind.ID_PREFIX + uuid.uuid4().hex


def _one_prompt(prompt: str | list[str] | list[int] | list[list[int]]) -> str | Sequence[int]:
    """The prompt, as text or token ids.

    Raises:
        RequestError: there are several prompts.
    """
    if isinstance(prompt, str):
        return prompt
    first = prompt[0] if prompt else ""
    if isinstance(first, int):
        return prompt  # type: ignore[return-value]
    if len(prompt) > 1:
        raise RequestError("prompt: a request can have only one prompt", param="prompt")
    return first
