"""Answers of `/v1/chat/completions`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from appliance.gateway.completion import TokenLogprob
from appliance.gateway.openai.form import Form


class ChatForm(Form):
    """A chat answer."""

    ID_PREFIX = "chatcmpl-"
    EVENT = "chat.completion.chunk"
    DOCUMENT = "chat.completion"
    PROMPT = "messages"

    def head(self) -> bytes:
        """The event that names the speaker."""
        return self._event({"delta": {"role": "assistant", "content": "", "refusal": None}})

    def _piece(self, text: str) -> dict[str, Any]:
        return {"delta": {"content": text}}

    def _nothing(self) -> dict[str, Any]:
        return {"delta": {}}

    def _whole(self, text: str) -> dict[str, Any]:
        return {"message": {"role": "assistant", "content": text, "refusal": None}}

    def _logprobs(self, tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
        content = [
            {
                **self._figures(token.token_id, token.logprob),
                "top_logprobs": [self._figures(*pair) for pair in token.likeliest[: self.alternatives]],
            }
            for token in tokens
        ]
        return {"content": content, "refusal": None}

    def _figures(self, token: int, logprob: float) -> dict[str, Any]:
        text = self.token_text(token)
        # A token that is a part of a character has no text of its own; OpenAI leaves `bytes` null when unknown.
        known = None if "\ufffd" in text else list(text.encode())
        return {"token": text, "logprob": logprob, "bytes": known}
