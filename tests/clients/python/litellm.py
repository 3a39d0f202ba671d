"""What LiteLLM's providers have in common."""

from __future__ import annotations

import json

import litellm

from tests.clients.python.box import ASK_WEATHER, TOO_LONG, WEATHER, Box
from tests.clients.python.expect import raises
from tests.clients.python.openai_chat import CAPITAL, HELLO, TOOLS, City


class Calls:
    """The calls of one provider of LiteLLM.

    Attributes:
        provider: its name, with which names of models begin.
        url: the field of `Box` with the URL that it needs.
    """

    def __init__(self, provider: str, url: str) -> None:
        self.provider = provider
        self.url = url

    def ask(self, box: Box, messages: list, *, model: str = "", **parameters):
        name = f"{self.provider}/{model or box.model}"
        asked = {"model": name, "api_key": box.key, "temperature": 0, "num_retries": 0, **parameters}
        return litellm.completion(messages=messages, api_base=getattr(box, self.url), **asked)

    def chat(self, box: Box) -> None:
        answer = self.ask(box, HELLO, max_tokens=16)
        assert answer.choices[0].message.content
        assert answer.choices[0].finish_reason == "length"

    def stream(self, box: Box) -> None:
        pieces = list(self.ask(box, CAPITAL, max_tokens=40, stream=True, stream_options={"include_usage": True}))
        assert "Paris" in "".join(choice.delta.content or "" for piece in pieces for choice in piece.choices)
        assert pieces[-1].usage.completion_tokens > 1

    def tools(self, box: Box) -> None:
        messages = [{"role": "user", "content": ASK_WEATHER}]
        first = self.ask(box, messages, tools=TOOLS, max_tokens=64).choices[0]
        assert first.finish_reason == "tool_calls"
        (call,) = first.message.tool_calls
        messages += [first.message, {"role": "tool", "tool_call_id": call.id, "content": WEATHER}]
        assert "21" in self.ask(box, messages, tools=TOOLS, max_tokens=64).choices[0].message.content

    def forced(self, box: Box) -> None:
        messages = [{"role": "user", "content": ASK_WEATHER}]
        answer = self.ask(box, messages, tools=TOOLS, tool_choice="required", max_tokens=200)
        assert json.loads(answer.choices[0].message.tool_calls[0].function.arguments).keys() == {"city"}

    def schema(self, box: Box) -> None:
        question = [{"role": "user", "content": "Where is the Eiffel tower?"}]
        answer = self.ask(box, question, response_format=City, max_tokens=64)
        assert City.model_validate_json(answer.choices[0].message.content)

    def errors(self, box: Box) -> None:
        with raises(litellm.AuthenticationError, status_code=401):
            self.ask(box, HELLO, api_key="wrong")
        with raises(litellm.NotFoundError, status_code=404):
            self.ask(box, HELLO, model="no-such-model")
        with raises(litellm.ContextWindowExceededError, status_code=400):
            self.ask(box, [{"role": "user", "content": TOO_LONG}])
