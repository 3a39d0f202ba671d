"""The prompt of one question, and the tokens of the labels with which the model can answer it."""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from appliance.errors import RequestError
from appliance.gateway.bodies.content import content_text
from appliance.gateway.chat.served_model import ServedModel
from appliance.gateway.openai.decisions.schema import (
    Choice,
    ChoiceOption,
    DecisionBody,
    Item,
    Level,
    MessageItem,
    Predicate,
    Question,
    Score,
)
from appliance.gateway.openai.responses.schema import CustomCallItem, FunctionCallItem

YES, NO = "yes", "no"
_LETTERS = string.ascii_uppercase
_PREDICATE = "Statement: {instructions}\n\nIs the statement true? Answer only with {names}."
_OPTIONS = "{instructions}\n\n{kind}:\n{options}\n\nAnswer only with {what}."


@dataclass(frozen=True)
class Labels:
    """The labels of one question, in its order.

    Attributes:
        names: what the model writes for each label.
        tokens: the tokens that count as each label.
    """

    names: tuple[str, ...]
    tokens: tuple[tuple[int, ...], ...]


def evidence(asked: DecisionBody) -> str:
    """The input as one text. A conversation is written down: the model judges it, and does not continue it."""
    if isinstance(asked.input, str):
        return asked.input
    if len(asked.input) == 1 and isinstance(asked.input[0], MessageItem) and asked.input[0].role == "user":
        return content_text(asked.input[0].content)
    return "\n\n".join(map(_written, asked.input))


def _written(item: Item) -> str:
    if isinstance(item, MessageItem):
        return f"{item.role}: {content_text(item.content)}"
    if isinstance(item, FunctionCallItem | CustomCallItem):
        given = item.arguments if isinstance(item, FunctionCallItem) else item.input
        return f"call {item.call_id} of {item.name}: {given}"
    return f"result of call {item.call_id}: {content_text(item.output)}"


def message(text: str, question: Question, labels: Labels) -> str:
    """The user's message. It begins with the input, so that the questions of a request share this prefix."""
    if isinstance(question, Predicate):
        asked = _PREDICATE.format(instructions=question.asked, names=" or ".join(labels.names))
    else:
        is_score = isinstance(question, Score)
        options = zip(labels.names, _options(question), strict=True)
        asked = _OPTIONS.format(
            instructions=question.asked,
            kind="Levels, from the lowest to the highest" if is_score else "Options",
            options="\n".join(f"{name}: {option}" for name, option in options),
            what="the letter of one level" if is_score else "the letter of one option",
        )
    return f"Read this input.\n\n<input>\n{text}\n</input>\n\n{asked}"


def _options(question: Choice | Score) -> Iterator[str]:
    options: Sequence[ChoiceOption | Level] = question.choices if isinstance(question, Choice) else question.levels
    for one in options:
        value = one.value if isinstance(one, ChoiceOption) else one.label
        shown = str(value).lower() if isinstance(value, bool) else value
        yield f"{shown} ({one.description})" if one.description else shown


class LabelTokens:
    """Finds labels that are single tokens of one model."""

    def __init__(self, model: ServedModel) -> None:
        self._model = model
        self._known: dict[str, tuple[int, ...]] = {}

    async def labels(self, question: Question, param: str) -> Labels:
        """The labels of a question.

        Raises:
            RequestError: the model has not enough labels; `param` is the client's name of the question.
        """
        for names in _candidates(question):
            tokens = [await self._tokens(name) for name in names]
            found = [(name, ids) for name, ids in zip(names, tokens, strict=True) if ids]
            wanted = _count(question)
            if len(found) >= wanted:
                return Labels(*map(tuple, zip(*found[:wanted], strict=True)))
        raise RequestError(
            f"{param} has {_count(question)} labels, but {self._model.name} has not as many labels of one token",
            hint="offer fewer",
            param=param,
        )

    async def _tokens(self, name: str) -> tuple[int, ...]:
        """The tokens that the model can write for a label: one token each, with and without a space before it."""
        if name not in self._known:
            spellings = {name, name.capitalize(), f" {name}", f" {name.capitalize()}"}
            encoded = [await self._model.encoder.encode_content(one) for one in sorted(spellings)]
            self._known[name] = tuple(sorted({ids[0] for ids in encoded if len(ids) == 1}))
        return self._known[name]


def _count(question: Question) -> int:
    if isinstance(question, Predicate):
        return 2
    return len(question.choices) if isinstance(question, Choice) else len(question.levels)


def _candidates(question: Question) -> Iterator[Sequence[str]]:
    """Names of labels, the best first."""
    if isinstance(question, Predicate):
        yield (YES, NO)
        yield ("Y", "N")
        return
    yield _LETTERS
    yield ["".join(pair) for pair in itertools.product(_LETTERS, repeat=2)]


def shares(labels: Labels, figures: Mapping[int, float]) -> tuple[list[float], float]:
    """The probability of each label among the labels, and the probability of all labels together.

    Args:
        labels: the labels.
        figures: token id → probability.
    """
    masses = [sum(figures[token] for token in tokens) for tokens in labels.tokens]
    total = sum(masses)
    return [mass / total if total else 1 / len(masses) for mass in masses], total
