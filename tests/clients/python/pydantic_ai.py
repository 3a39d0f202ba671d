"""What Pydantic AI's models have in common."""

from __future__ import annotations

import pydantic
from pydantic_ai import Agent, ModelSettings, NativeOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models import Model

from tests.clients.python.box import ASK_WEATHER, TOO_LONG, WEATHER, Box
from tests.clients.python.expect import raises


class City(pydantic.BaseModel):
    name: str
    country: str


class Calls:
    """The calls of one kind of model of Pydantic AI.

    Attributes:
        make: makes the model for a name and a key.
    """

    def __init__(self, make) -> None:
        self.make = make

    def _agent(self, box: Box, max_tokens: int, *, name: str = "", key: str = "", **parameters) -> Agent:
        model: Model = self.make(box, name or box.model, key or box.key)
        settings = ModelSettings(temperature=0, max_tokens=max_tokens)
        return Agent(model, model_settings=settings, retries=0, **parameters)

    async def chat(self, box: Box) -> None:
        answer = await self._agent(box, 40, instructions="You are brief.").run("What is the capital of France?")
        assert "Paris" in answer.output
        assert answer.usage.output_tokens > 1

    async def stream(self, box: Box) -> None:
        async with self._agent(box, 40).run_stream("What is the capital of France?") as answer:
            pieces = [piece async for piece in answer.stream_text(delta=True, debounce_by=None)]
        assert len(pieces) > 1
        assert "Paris" in "".join(pieces)

    async def turns(self, box: Box) -> None:
        agent = self._agent(box, 40)
        first = await agent.run("My name is Ada. Remember it.")
        second = await agent.run("What is my name? Answer with one word.", message_history=first.all_messages())
        assert "Ada" in second.output

    async def tools(self, box: Box) -> None:
        asked_for = []
        agent = self._agent(box, 64)

        @agent.tool_plain
        def get_weather(city: str) -> str:
            """Get the weather in a city."""
            asked_for.append(city)
            return WEATHER

        answer = await agent.run(ASK_WEATHER)
        assert "Paris" in asked_for[0]
        assert "21" in answer.output

    async def forced(self, box: Box) -> None:
        # Its output types are tools that it requires.
        answer = await self._agent(box, 200, output_type=City).run("Where is the Eiffel tower?")
        assert isinstance(answer.output, City)

    async def schema(self, box: Box) -> None:
        answer = await self._agent(box, 64, output_type=NativeOutput(City)).run("Where is the Eiffel tower?")
        assert isinstance(answer.output, City)

    async def cancel(self, box: Box) -> None:
        with box.cancels_one():
            async with self._agent(box, 4000).run_stream("Write a long story.") as answer:
                async for _ in answer.stream_text(delta=True, debounce_by=None):
                    break

    async def errors(self, box: Box) -> None:
        with raises(ModelHTTPError, status_code=401):
            await self._agent(box, 1, key="wrong").run("Hello")
        with raises(ModelHTTPError, status_code=404):
            await self._agent(box, 1, name="no-such-model").run("Hello")
        with raises(ModelHTTPError, status_code=400):
            await self._agent(box, 1).run(TOO_LONG)
