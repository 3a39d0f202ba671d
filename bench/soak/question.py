"""The crowd's questions: completions whose correct answer contains a marker that is unique to the question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "ivory", "jade")
_EXAMPLES = "In: quartz-5083\nOut: quartz-5083\nIn: willow-2719\nOut: willow-2719\n"
_NOTE = "Codes are written down exactly as they come in.\n"
_MARKER_TOKENS = 16


@dataclass(frozen=True)
class Question:
    """A request's body without `stream`, and the marker that its answer must contain."""

    body: dict[str, Any]
    marker: str


def copying(model: str, count: int) -> list[Question]:
    """Questions that a language model answers by copying a code; their prompts are 60 to 200 tokens long."""
    return [_copying(model, number) for number in range(count)]


def _copying(model: str, number: int) -> Question:
    # 1001 is coprime to 9000: no code occurs twice.
    marker = f"{_WORDS[number % len(_WORDS)]}-{1000 + number * 1001 % 9000}"
    prompt = _NOTE * (number % 8) + _EXAMPLES + f"In: {marker}\nOut:"
    body = {"model": model, "prompt": prompt, "max_tokens": _MARKER_TOKENS, "temperature": 0, "stop": "\n"}
    return Question(body | {"repetition_penalty": 1}, marker)


def others_in(text: str, question: Question, questions: Sequence[Question]) -> bool:
    """Whether the text contains the marker of another question."""
    return any(other.marker in text for other in questions if other.marker != question.marker)
