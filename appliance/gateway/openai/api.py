"""The endpoints of OpenAI's chat and completions."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from appliance.gateway.bodies.sampling import within_context
from appliance.gateway.bodies.structures import structure_asked
from appliance.gateway.chat.dialect import Dialect
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
from appliance.gateway.openai.prompts import Prompt, prompts_of
from appliance.gateway.openai.sampling import chat_names, chat_sampling, completion_sampling
from appliance.gateway.openai.schema import ChatBody, CompletionBody
from appliance.gateway.openai.shown import Shown
from appliance.gateway.services import Services
from appliance.gateway.triton.completion import CompletionRequest, Delta


class OpenAiApi:
    """The endpoints."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[BaseRoute]:
        """The routes of chat and completions."""
        return [
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/v1/completions", self.completions, methods=["POST"]),
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
            [prepared.prompt_ids],
            within_context(prepared.settings(settings), len(prepared.prompt_ids), asked.num_ctx),
            stream=bool(asked.stream),
            client_names={**prepared.client_names, **chat_names(asked)},
            choices=asked.n or 1,
            clips=True,
        )
        prompts = [Prompt(prepared.prompt_ids)]
        return self._answer(request, asked, model, completion, ChatEncoder, prompts, prepared.reader, prepared)

    async def completions(self, request: Request) -> Any:
        """`POST /v1/completions`."""
        asked = await accepted_for_model(request, self._services, CompletionBody, POLICIES[COMPLETIONS])
        model = self._services.models.get(asked.model)
        settings = completion_sampling(asked, model.manifest.generation)
        structure = structure_asked(asked)
        if structure.wanted is not None:
            settings["structured_outputs"] = structure.wanted
        prompts = await prompts_of(asked, model)
        settings = within_context(settings, max(len(prompt.ids) for prompt in prompts), asked.num_ctx)
        completion = self._services.request(
            _new_id(CompletionEncoder),
            model,
            [prompt.ids for prompt in prompts],
            settings,
            stream=bool(asked.stream),
            client_names={"structured_outputs": structure.name},
            choices=asked.n or 1,
        )
        return self._answer(request, asked, model, completion, CompletionEncoder, prompts, lambda: Reader(Dialect()))

    def _answer(
        self,
        request: Request,
        asked: ChatBody | CompletionBody,
        model: ServedModel,
        completion: CompletionRequest,
        kind: type[ChoiceEncoder],
        prompts: Sequence[Prompt],
        reader: Callable[[], Reader],
        prepared: Prepared | None = None,
    ) -> HttpAnswer[Delta]:
        encoder = kind(
            Envelope(completion.request_id, int(time.time()), model.name, model.fingerprint),
            [reader() for _ in range(completion.answers)],
            prompts,
            shown=Shown.of(asked, completion.sampling.get("logprobs")),
            tokens=model.token_bytes,
        )
        record = record_of(request)
        check = prepared.check if prepared is not None else None
        unheld = prepared.unheld if prepared is not None else None
        answering = self._services.answering.complete(record, completion, check)
        pulse = Pulse.of(self._services.settings) if asked.stream else None
        is_scored = "prompt_logprobs" in completion.sampling
        return HttpAnswer(
            answering, encoder, record, failure_event, pulse=pulse, unheld=unheld, has_large_events=is_scored
        )


def _new_id(kind: type[ChoiceEncoder]) -> str:
    """A new id of an answer of this kind."""
    return kind.ID_PREFIX + uuid.uuid4().hex
