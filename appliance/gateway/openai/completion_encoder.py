"""Answers of `/v1/completions`."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
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

    def _before(self, choice: int) -> dict[str, Any]:
        """The prompt, as far as the answer shows it."""
        shown: dict[str, Any] = {}
        if self.shown.token_ids:
            shown["prompt_token_ids"] = self._prompt(choice).ids
        if self.shown.echo:
            if self.shown.alternatives is not None:
                shown["logprobs"] = self._prompt_logprobs(choice)
            shown["text"] = self._prompt(choice).shown(self.tokens)
            self._offsets[choice] = len(shown["text"])
            self._decoders[choice].reset()
        return shown

    def _completed(
        self, choice: int, entry: dict[str, Any], tokens: Sequence[TokenLogprob], ids: Sequence[int]
    ) -> dict[str, Any]:
        before = self._before(choice)
        whole = super()._completed(choice, entry, tokens, ids)
        whole["text"] = before.pop("text", "") + whole["text"]
        if "logprobs" in before:
            whole["logprobs"] = {name: [*own, *whole["logprobs"][name]] for name, own in before.pop("logprobs").items()}
        if self.shown.prompt_alternatives is not None:
            whole["prompt_logprobs"] = self._prompt_figures(choice)
        return {**whole, **before}

    def _prompt_logprobs(self, choice: int) -> dict[str, Any]:
        """The log-probabilities of the prompt's tokens; the first token has none."""
        (first, *_), scores = self._prompt(choice).ids, self._scores[choice]
        found = self._logprobs(choice, [TokenLogprob(first, 0.0), *scores], name=self.tokens.name)
        found["token_logprobs"][0] = found["top_logprobs"][0] = None
        return found

    def _logprobs(
        self, choice: int, tokens: Sequence[TokenLogprob], name: Callable[[int], bytes] | None = None
    ) -> dict[str, Any]:
        """See ChoiceEncoder; `name` returns the bytes of a token in the text, by default without special tokens."""
        offsets = []
        for token in tokens:
            # The offset of a token within a character is the start of the character.
            offsets.append(self._offsets[choice])
            content = (name or self.tokens.of)(token.token_id)
            self._offsets[choice] += len(self._decoders[choice].decode(content))
        return {
            "tokens": [self._name(token.token_id) for token in tokens],
            "token_logprobs": [token.logprob for token in tokens],
            "top_logprobs": [self._likeliest(token) for token in tokens],
            "text_offset": offsets,
        }

    def _likeliest(self, token: TokenLogprob) -> dict[str, float]:
        """The likeliest tokens and, as OpenAI documents it, the token itself; without alternatives, none."""
        listed = {self._name(other): value for other, value in token.top[: self.shown.alternatives]}
        return listed and {**listed, self._name(token.token_id): token.logprob}

    def _name(self, token: int) -> str:
        r"""The token's text; if the bytes are not a text, OpenAI's notation for them: `bytes:\xf0\x9f`."""
        if self.shown.names_are_ids:
            return f"token_id:{token}"
        content = self.tokens.name(token)
        text = text_of_bytes(content)
        return text if text.encode() == content else f"bytes:{text}"
