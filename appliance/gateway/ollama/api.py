"""The endpoints of Ollama's API that generate text."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance.auth.scope import Scope
from appliance.errors import RequestError
from appliance.gateway.access.permission import check_scopes
from appliance.gateway.access.request_quota import current
from appliance.gateway.bodies.sampling import within_context
from appliance.gateway.chat.delta_encoder import DeltaEncoder
from appliance.gateway.chat.dialect import Dialect
from appliance.gateway.chat.infilling import encode_infilling
from appliance.gateway.chat.prepare import Prepared, prepare
from appliance.gateway.chat.reader import Reader
from appliance.gateway.chat.request import ChatRequest
from appliance.gateway.chat.served_model import ServedModel
from appliance.gateway.http.accepted_body import accepted_for_model
from appliance.gateway.http.answer import HttpAnswer
from appliance.gateway.http.event_stream import LINES, Pulse
from appliance.gateway.http.ignored import note_ignored
from appliance.gateway.http.rim import record_of
from appliance.gateway.ollama.answer_encoder import AnswerEncoder, Content, as_message, as_response, shown_figures
from appliance.gateway.ollama.conversation import chat_request, prompt_request, structure_of
from appliance.gateway.ollama.failure import PATH, failure_line
from appliance.gateway.ollama.names import known_name
from appliance.gateway.ollama.options import CLIENT_NAMES, AskedOptions, options_of
from appliance.gateway.ollama.parameters import CHAT, GENERATE, POLICIES
from appliance.gateway.ollama.schema import GenerateBody, OllamaChatBody
from appliance.gateway.services import Services

_JSON = "application/json"


@dataclass(frozen=True)
class _Prompt:
    """What the model is sent.

    Attributes:
        ids: the prompt's tokens.
        settings: completes the sampling settings.
        reader: reads the answer.
        names: the client's names of parameters.
        prepared: the conversation; None for a plain prompt.
    """

    ids: Sequence[int]
    settings: Callable[[Mapping[str, Any]], dict[str, Any]]
    reader: Reader
    names: Mapping[str, str]
    prepared: Prepared | None = None


class OllamaApi:
    """The endpoints."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route(f"{PATH}/chat", self.chat, methods=["POST"]),
            Route(f"{PATH}/generate", self.generate, methods=["POST"]),
        ]

    async def chat(self, request: Request) -> Any:
        """`POST /api/chat`."""
        asked = await accepted_for_model(request, self._services, OllamaChatBody, POLICIES[CHAT])
        if not asked.messages:
            return await self._load_or_unload(request, asked, as_message)
        model = self._model(asked)
        options = self._options(request, asked, model)
        prompt = await _conversation(request, model, chat_request(asked))
        return self._answer(request, asked, model, options, prompt, as_message)

    async def generate(self, request: Request) -> Any:
        """`POST /api/generate`."""
        asked = await accepted_for_model(request, self._services, GenerateBody, POLICIES[GENERATE])
        if not asked.prompt and not asked.suffix:
            return await self._load_or_unload(request, asked, as_response)
        model = self._model(asked)
        options = self._options(request, asked, model)
        # Ollama's template of a base model is the prompt itself.
        if asked.raw or asked.suffix or model.template is None:
            prompt = await _plain_prompt(request, model, asked)
        else:
            prompt = await _conversation(request, model, prompt_request(asked))
        return self._answer(request, asked, model, options, prompt, as_response)

    def _model(self, asked: OllamaChatBody | GenerateBody) -> ServedModel:
        models = self._services.models
        return models.get(known_name(models, asked.model))

    def _options(self, request: Request, asked: OllamaChatBody | GenerateBody, model: ServedModel) -> AskedOptions:
        """The checked options; raises as `options_of` does."""
        found = options_of(asked, model.manifest.generation, self._services.settings.unknown_parameters)
        note_ignored(request, found.ignored)
        return found

    def _answer(
        self,
        request: Request,
        asked: OllamaChatBody | GenerateBody,
        model: ServedModel,
        options: AskedOptions,
        prompt: _Prompt,
        placed: Callable[[Content], dict[str, Any]],
    ) -> HttpAnswer[Any]:
        services, record = self._services, record_of(request)
        completion = services.request(
            f"ollama-{uuid.uuid4().hex}",
            model,
            [prompt.ids],
            within_context(prompt.settings(options.sampling), len(prompt.ids), options.num_ctx),
            stream=asked.stream,
            client_names={**CLIENT_NAMES, **prompt.names},
            # Ollama's rule for a num_predict that exceeds the context.
            clips=True,
            keep_alive_s=asked.keep_alive,
        )
        alternatives = options.sampling.get("logprobs")
        shown = None if alternatives is None else functools.partial(shown_figures, model.token_bytes, alternatives)
        encoder = AnswerEncoder(model.name, record, placed, shown)
        return HttpAnswer(
            services.answering.complete(record, completion, prompt.prepared.check if prompt.prepared else None),
            DeltaEncoder(encoder, prompt.reader),
            record,
            failure_line,
            pulse=self._pulse(encoder) if asked.stream else None,
            unheld=prompt.prepared.unheld if prompt.prepared else None,
        )

    async def _load_or_unload(
        self,
        request: Request,
        asked: OllamaChatBody | GenerateBody,
        placed: Callable[[Content], dict[str, Any]],
    ) -> Any:
        """Load the model, or unload it for all clients.

        Raises:
            ForbiddenError: the principal may not unload models.
            RequestError: the model is always loaded.
        """
        services, record = self._services, record_of(request)
        name = services.models.any(known_name(services.models, asked.model)).name
        encoder = AnswerEncoder(name, record, placed)
        if asked.keep_alive != 0:
            return HttpAnswer(
                services.answering.load(record, name, services.settings.timeout_s, asked.keep_alive),
                encoder,
                record,
                failure_line,
                pulse=self._pulse(encoder) if asked.stream else None,
            )
        record.fields["model"] = name
        check_scopes(current().principal, [Scope.ADMIN])
        if not services.loaded.is_on_demand(name):
            raise RequestError(
                f"{name} is always loaded: clients can unload only models with on_demand",
                hint=f"on the box: appliance model unload {name}",
                param="keep_alive",
            )
        await services.loaded.unload(name)
        return Response(encoder.unloaded(), media_type=_JSON)

    def _pulse(self, encoder: AnswerEncoder) -> Pulse:
        return Pulse.of(self._services.settings, encoder.sign, LINES)


async def _conversation(request: Request, model: ServedModel, chat: ChatRequest) -> _Prompt:
    """The prompt of a conversation; raises as `prepare` does."""
    prepared = await prepare(model, chat)
    note_ignored(request, prepared.ignored)
    return _Prompt(prepared.prompt_ids, prepared.settings, prepared.reader(), prepared.client_names, prepared)


async def _plain_prompt(request: Request, model: ServedModel, asked: GenerateBody) -> _Prompt:
    """A prompt without a chat template.

    Raises:
        RequestError: there are instructions, which need a template; or see `encode_infilling`.
        PromptTooLongError: see `ServedModel.check_length`.
    """
    if asked.system:
        cause = "raw" if asked.raw else "suffix" if asked.suffix else "a base model"
        raise RequestError(
            f"system cannot be combined with {cause}: only a chat template has instructions",
            hint="write the instructions into the prompt",
            param="system",
        )
    if asked.think is not None:
        note_ignored(request, ["think"])
    ids = (
        await encode_infilling(model, asked.prompt, asked.suffix)
        if asked.suffix
        else await model.encode_text(asked.prompt)
    )
    structure = structure_of(asked)

    def settings(sampling: Mapping[str, Any]) -> dict[str, Any]:
        return {**sampling, **({} if structure is None else {"structured_outputs": structure})}

    return _Prompt(ids, settings, Reader(Dialect()), {"structured_outputs": "format"})
