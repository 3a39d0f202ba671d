"""`/v1/decisions`: each question is one prompt, and its answer the probabilities of the labels as the next token."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from appliance.errors import PromptTooLongError, RequestError
from appliance.gateway.bodies.parameter_policy import ParameterPolicy
from appliance.gateway.chat.prepare import can_switch_thinking, prepare
from appliance.gateway.chat.request import ChatRequest, ClientNames
from appliance.gateway.chat.served_model import ServedModel
from appliance.gateway.http.accepted_body import accepted_for_model
from appliance.gateway.http.answer import HttpAnswer
from appliance.gateway.http.rim import record_of
from appliance.gateway.openai.decisions.encoder import DecisionEncoder
from appliance.gateway.openai.decisions.prompt import Labels, LabelTokens, evidence, message
from appliance.gateway.openai.decisions.schema import Choice, DecisionBody, Question
from appliance.gateway.openai.failure import failure_event
from appliance.gateway.openai.parameters import SHARED_HINTS
from appliance.gateway.services import Services

POLICY = ParameterPolicy(hints=SHARED_HINTS)
# The input is a part of each prompt, so a small body could ask for much work.
MAX_PROMPT_TOKENS = 300_000


class DecisionsApi:
    """See the module."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[BaseRoute]:
        """The route."""
        return [Route("/v1/decisions", self.decide, methods=["POST"])]

    async def decide(self, request: Request) -> Any:
        """`POST /v1/decisions`."""
        asked = await accepted_for_model(request, self._services, DecisionBody, POLICY)
        model = self._services.models.get(asked.model)
        _check(asked, model)
        text, tokens = evidence(asked), LabelTokens(model)
        questions = [
            (question, await tokens.labels(question, f"questions[{place}]"))
            for place, question in enumerate(asked.questions)
        ]
        prompts = await _prompts(model, text, questions)
        every = {token for _, labels in questions for ids in labels.tokens for token in ids}
        completion = self._services.request(
            f"dec-{uuid.uuid4().hex}",
            model,
            prompts,
            {"max_tokens": 1, "temperature": 0.0, "logprobs": 0, "logprob_token_ids": sorted(every)},
            stream=False,
            client_names={"prompt": "input", "max_tokens": "input"},
        )
        record = record_of(request)
        answering = self._services.answering.complete(record, completion)
        return HttpAnswer(answering, DecisionEncoder(model.name, questions), record, failure_event, pulse=None)


def _check(asked: DecisionBody, model: ServedModel) -> None:
    """Check what the schema does not.

    Raises:
        RequestError: a text is empty, two options are the same, or the model thinks before each answer.
    """
    if model.dialect.thinks and not can_switch_thinking(model):
        raise RequestError(
            f"{model.name} thinks before it answers, so its next token is no decision",
            hint="use a model that can answer without thinking",
            param="model",
        )
    if not evidence(asked).strip():
        raise RequestError("input is empty", param="input")
    for place, question in enumerate(asked.questions):
        if not question.asked.strip():
            raise RequestError(f"questions[{place}].instructions is empty", param=f"questions[{place}].instructions")
        if isinstance(question, Choice):
            _check_different([option.value for option in question.choices], f"questions[{place}].choices")


def _check_different(values: Sequence[str | bool], param: str) -> None:
    # In Python, True and "true" differ, but True and 1 do not: the types are a part of the value.
    if len({(type(value), value) for value in values}) < len(values):
        raise RequestError(f"{param} has the same value twice", param=param)


async def _prompts(model: ServedModel, text: str, questions: Sequence[tuple[Question, Labels]]) -> list[Sequence[int]]:
    """The prompt of each question.

    Raises:
        PromptTooLongError: a prompt is too long, or all prompts have too many tokens together.
    """
    prompts: list[Sequence[int]] = []
    total = 0
    for question, labels in questions:
        prompts.append(await _prompt(model, text, question, labels))
        total += len(prompts[-1])
        if total > MAX_PROMPT_TOKENS:
            raise PromptTooLongError(
                f"the prompts of the questions have more than {MAX_PROMPT_TOKENS} tokens together",
                hint="send several requests, or shorten the input, which is a part of each prompt",
                param="questions",
            )
    return prompts


async def _prompt(model: ServedModel, text: str, question: Question, labels: Labels) -> Sequence[int]:
    turns = [{"role": "user", "content": message(text, question, labels)}]
    thinking = False if model.dialect.thinks else None
    prepared = await prepare(model, ChatRequest(turns, thinking=thinking, client_names=ClientNames(messages="input")))
    return prepared.prompt_ids
