"""Answers of `/v1/completions`."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Any

from appliance.gateway.chat.parts import Part
from appliance.gateway.chat.token_figures import text_of_bytes
from appliance.gateway.openai.choice_encoder import ChoiceEncoder, text_of
from appliance.inference.events import TokenLogprob


class CompletionEncoder(ChoiceEncoder):
    """Encodes the answer of a plain completion."""

    ID_PREFIX = "cmpl-"
    EVENT = "text_completion"
    DOCUMENT = "text_completion"

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        # For each choice: the number of characters before its next token, for `text_offset`.
        self._offsets = [0] * len(self._readers)
        self._decoders = [codecs.getincrementaldecoder("utf-8")("replace") for _ in self._readers]

    def _part(self, part: Part) -> dict[str, Any]:
        return {"text": text_of([part])}

    def _nothing(self) -> dict[str, Any]:
        return {"text": ""}

    def _whole(self, parts: Sequence[Part]) -> dict[str, Any]:
        return {"text": text_of(parts)}

    def _logprobs(self, choice: int, tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
        offsets = []
        for token in tokens:
            # The offset of a token within a character is the start of the character.
            offsets.append(self._offsets[choice])
            self._offsets[choice] += len(self._decoders[choice].decode(self.tokens.of(token.token_id)))
        return {
            "tokens": [self._name(token.token_id) for token in tokens],
            "token_logprobs": [token.logprob for token in tokens],
            "top_logprobs": [
                {self._name(other): value for other, value in token.top[: self.alternatives]} for token in tokens
            ],
            "text_offset": offsets,
        }

    def _name(self, token: int) -> str:
        r"""The token's text; if the bytes are not a text, OpenAI's notation for them: `bytes:\xf0\x9f`."""
        content = self.tokens.name(token)
        text = text_of_bytes(content)
        return text if text.encode() == content else f"bytes:{text}"
