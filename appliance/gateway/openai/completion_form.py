"""Answers of `/v1/completions`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from appliance.gateway.completion import TokenLogprob
from appliance.gateway.openai.form import Form


class CompletionForm(Form):
    """A plain completion's answer."""

    ID_PREFIX = "cmpl-"
    EVENT = "text_completion"
    DOCUMENT = "text_completion"
    PROMPT = "prompt"

    # Characters of the completion before the next token, for `text_offset`.
    _offset = 0

    def _piece(self, text: str) -> dict[str, Any]:
        return {"text": text}

    def _nothing(self) -> dict[str, Any]:
        return {"text": ""}

    def _whole(self, text: str) -> dict[str, Any]:
        return {"text": text}

    def _logprobs(self, tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
        texts = [self.token_text(token.token_id) for token in tokens]
        offsets = []
        for text in texts:
            offsets.append(self._offset)
            self._offset += len(text)
        return {
            "tokens": texts,
            "token_logprobs": [token.logprob for token in tokens],
            "top_logprobs": [
                {self.token_text(other): value for other, value in token.likeliest[: self.alternatives]}
                for token in tokens
            ],
            "text_offset": offsets,
        }
