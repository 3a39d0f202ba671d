"""Encodes the answers of `/v1/decisions`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from appliance.errors import EngineError
from appliance.gateway.http.json_text import encode
from appliance.gateway.http.whole_encoder import WholeEncoder
from appliance.gateway.openai.decisions.prompt import Labels, shares
from appliance.gateway.openai.decisions.schema import Choice, Predicate, Question
from appliance.gateway.triton.completion import Delta, combined
from appliance.inference.events import TokenLogprob


class DecisionEncoder(WholeEncoder):
    """Encodes the answers of one request; see `AnswerEncoder`. They are never streamed."""

    def __init__(self, model: str, asked: Sequence[tuple[Question, Labels]]) -> None:
        """`asked` are the questions, in the order of the prompts."""
        self._model = model
        self._asked = asked

    def document(self, pieces: Sequence[Delta]) -> bytes:
        """The whole answer."""
        found = {piece.choice: piece.logprobs[0] for piece in pieces if piece.logprobs}
        usage = combined({piece.choice: piece.usage for piece in pieces if piece.usage}, 1)
        if len(found) < len(self._asked):
            raise EngineError("the model gave no log-probabilities")
        answers = [_answer(question, labels, found[place]) for place, (question, labels) in enumerate(self._asked)]
        spent = {
            "input_tokens": usage.prompt_tokens,
            "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
            "output_tokens": usage.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        }
        return encode({"answers": answers, "model": self._model, "usage": spent}).encode()


def _answer(question: Question, labels: Labels, token: TokenLogprob) -> dict[str, Any]:
    figures = {one: math.exp(logprob) for one, logprob in token.top}
    probabilities, mass = shares(labels, figures)
    answer = {"type": question.type, "name": question.name, "label_mass": mass}
    if isinstance(question, Predicate):
        return {**answer, "probability": probabilities[0]}
    best = max(range(len(probabilities)), key=probabilities.__getitem__)
    answer["confidence"] = probabilities[best]
    if isinstance(question, Choice):
        pairs = zip(question.choices, probabilities, strict=True)
        listed = [{"value": option.value, "probability": share} for option, share in pairs]
        return {**answer, "choice": question.choices[best].value, "probabilities": listed}
    levels = enumerate(zip(question.levels, probabilities, strict=True))
    listed = [{"label": level.label, "value": value, "probability": share} for value, (level, share) in levels]
    score = sum(value * share for value, share in enumerate(probabilities))
    return {**answer, "score": score, "probabilities": listed}
