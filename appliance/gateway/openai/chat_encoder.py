"""Answers of `/v1/chat/completions`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from appliance.gateway.chat.parts import Part, Reasoning, Text, ToolArguments, ToolCall
from appliance.gateway.chat.token_figures import token_figures
from appliance.gateway.openai.choice_encoder import ChoiceEncoder, text_of
from appliance.inference.events import TokenLogprob


class ChatEncoder(ChoiceEncoder):
    """Encodes a chat answer."""

    ID_PREFIX = "chatcmpl-"
    EVENT = "chat.completion.chunk"
    DOCUMENT = "chat.completion"

    def head(self) -> bytes:
        """The events with the assistant's role, one for each choice."""
        delta = {"role": "assistant", "content": "", "refusal": None}
        return b"".join(
            self._event(choice, {"delta": delta}, **(self._prompt_ids() if choice == 0 else {}))
            for choice in range(len(self._readers))
        )

    def _part(self, part: Part) -> dict[str, Any]:
        if isinstance(part, Text):
            return {"delta": {"content": part.text}}
        if isinstance(part, Reasoning):
            return {"delta": {"reasoning_content": part.text}}
        if isinstance(part, ToolArguments):
            return {"delta": {"tool_calls": [{"index": part.index, "function": {"arguments": part.text}}]}}
        call = {"id": part.call_id, "type": "function", "function": {"name": part.name, "arguments": ""}}
        return {"delta": {"tool_calls": [{"index": part.index, **call}]}}

    def _nothing(self) -> dict[str, Any]:
        return {"delta": {}}

    def _whole(self, parts: Sequence[Part]) -> dict[str, Any]:
        calls: list[dict[str, Any]] = []
        for part in parts:
            if isinstance(part, ToolCall):
                calls.append({"id": part.call_id, "type": "function", "function": {"name": part.name, "arguments": ""}})
            elif isinstance(part, ToolArguments):
                calls[part.index]["function"]["arguments"] += part.text
        text = text_of(parts)
        message: dict[str, Any] = {"role": "assistant", "content": None if calls and not text else text}
        thought = "".join(part.text for part in parts if isinstance(part, Reasoning))
        if thought:
            message["reasoning_content"] = thought
        if calls:
            message["tool_calls"] = calls
        return {"message": {**message, "refusal": None}}

    def _logprobs(self, _choice: int, tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
        content = [
            {
                **self._figures(token.token_id, token.logprob),
                "top_logprobs": [self._figures(*pair) for pair in token.top[: self.shown.alternatives]],
            }
            for token in tokens
        ]
        return {"content": content, "refusal": None}

    def _figures(self, token: int, logprob: float) -> dict[str, Any]:
        found = token_figures(self.tokens, token, logprob)
        return {**found, "token": f"token_id:{token}"} if self.shown.names_are_ids else found

    def _prompt_ids(self) -> dict[str, Any]:
        return {"prompt_token_ids": self._prompts[0].ids} if self.shown.token_ids else {}

    def _of_prompts(self) -> dict[str, Any]:
        scored = self.shown.prompt_alternatives is not None
        return {**self._prompt_ids(), **({"prompt_logprobs": self._prompt_figures(0)} if scored else {})}
