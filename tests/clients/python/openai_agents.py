"""What OpenAI's Agents SDK does with both of its models."""

from __future__ import annotations

import openai
import pydantic
from agents import (
    Agent,
    ModelSettings,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI

from tests.clients.python.box import ASK_WEATHER, WEATHER, Box
from tests.clients.python.expect import raises

set_tracing_disabled(True)


class City(pydantic.BaseModel):
    name: str
    country: str


@function_tool
def get_weather(city: str) -> str:
    """Get the weather in a city."""
    return f"{city}: {WEATHER}"


class Calls:
    """The calls of an agent with one kind of model.

    Attributes:
        kind: the class of the model.
    """

    def __init__(self, kind) -> None:
        self.kind = kind

    def _agent(self, box: Box, max_tokens: int, *, key: str = "", name: str = "", **parameters) -> Agent:
        client = AsyncOpenAI(base_url=box.v1, api_key=key or box.key, max_retries=0)
        model = self.kind(model=name or box.model, openai_client=client)
        settings = ModelSettings(temperature=0, max_tokens=max_tokens, include_usage=True).resolve(
            parameters.pop("settings", None)
        )
        return Agent(name="agent", instructions="You are brief.", model=model, model_settings=settings, **parameters)

    async def chat(self, box: Box) -> None:
        answer = await Runner.run(self._agent(box, 40), "What is the capital of France?")
        assert "Paris" in answer.final_output
        assert answer.context_wrapper.usage.output_tokens > 1

    async def stream(self, box: Box) -> None:
        answer = Runner.run_streamed(self._agent(box, 40), "What is the capital of France?")
        kinds = [event.data.type async for event in answer.stream_events() if event.type == "raw_response_event"]
        assert kinds.count("response.output_text.delta") > 1
        assert kinds[-1] == "response.completed"
        assert "Paris" in answer.final_output

    async def turns(self, box: Box) -> None:
        first = await Runner.run(self._agent(box, 40), "My name is Ada. Remember it.")
        question = {"role": "user", "content": "What is my name? Answer with one word."}
        second = await Runner.run(self._agent(box, 40), [*first.to_input_list(), question])
        assert "Ada" in second.final_output

    async def tools(self, box: Box) -> None:
        answer = await Runner.run(self._agent(box, 64, tools=[get_weather]), ASK_WEATHER)
        assert "tool_call_output_item" in [item.type for item in answer.new_items]
        assert "21" in answer.final_output

    async def forced(self, box: Box) -> None:
        agent = self._agent(box, 200, tools=[get_weather], settings=ModelSettings(tool_choice="required"))
        answer = await Runner.run(agent, ASK_WEATHER)
        assert [item.type for item in answer.new_items[:2]] == ["tool_call_item", "tool_call_output_item"]

    async def schema(self, box: Box) -> None:
        answer = await Runner.run(self._agent(box, 64, output_type=City), "Where is the Eiffel tower?")
        assert isinstance(answer.final_output, City)

    async def cancel(self, box: Box) -> None:
        with box.cancels_one():
            answer = Runner.run_streamed(self._agent(box, 4000), "Write a long story.")
            async for event in answer.stream_events():
                if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                    answer.cancel()

    async def errors(self, box: Box) -> None:
        with raises(openai.AuthenticationError, status_code=401):
            await Runner.run(self._agent(box, 16, key="wrong"), "Hello")
        with raises(openai.NotFoundError, status_code=404):
            await Runner.run(self._agent(box, 16, name="no-such-model"), "Hello")
