"""Answers of `/v1/completions`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from appliance.gateway.chat.parts import Part
from appliance.gateway.completion import TokenLogprob
from appliance.gateway.openai.form import Form, text_of


class CompletionForm(Form):
    """A plain completion's answer."""

    ID_PREFIX = "cmpl-"
    EVENT = "text_completion"
    DOCUMENT = "text_completion"

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        # Characters of each completion before its next token, for `text_offset`.
        self._offsets = [0] * len(self._readers)

    def _part(self, part: Part) -> dict[str, Any]:
        return {"text": text_of([part])}

    def _nothing(self) -> dict[str, Any]:
        return {"text": ""}

    def _whole(self, parts: Sequence[Part]) -> dict[str, Any]:
        return {"text": text_of(parts)}

    def _logprobs(self, choice: int, tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
        texts = [self.token_text(token.token_id) for token in tokens]
        offsets = []
        for text in texts:
            offsets.append(self._offsets[choice])
            self._offsets[choice] += len(text)
        return {
            "tokens": texts,
            "token_logprobs": [token.logprob for token in tokens],
            "top_logprobs": [
                {self.token_text(other): value for other, value in token.likeliest[: self.alternatives]}
                for token in tokens
            ],
            "text_offset": offsets,
        }
