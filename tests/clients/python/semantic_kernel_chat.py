"""Semantic Kernel with OpenAI's API."""

from __future__ import annotations

import openai
import pydantic
from semantic_kernel import Kernel
from semantic_kernel.connectors.ai.function_choice_behavior import FunctionChoiceBehavior
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion, OpenAIChatPromptExecutionSettings
from semantic_kernel.contents import ChatHistory
from semantic_kernel.exceptions import ServiceResponseException
from semantic_kernel.functions import kernel_function

from tests.clients.python.box import ASK_WEATHER, WEATHER, Box
from tests.clients.python.expect import raises


class City(pydantic.BaseModel):
    name: str
    country: str


class Weather:
    def __init__(self) -> None:
        self.asked_for: list[str] = []

    @kernel_function(name="get_weather", description="Get the weather in a city.")
    def get_weather(self, city: str) -> str:
        self.asked_for.append(city)
        return WEATHER


def service(box: Box, *, key: str = "", name: str = "") -> OpenAIChatCompletion:
    client = openai.AsyncOpenAI(base_url=box.v1, api_key=key or box.key, max_retries=0)
    return OpenAIChatCompletion(ai_model_id=name or box.model, async_client=client)


def settings(max_tokens: int, **parameters) -> OpenAIChatPromptExecutionSettings:
    return OpenAIChatPromptExecutionSettings(temperature=0, max_tokens=max_tokens, **parameters)


def history(*texts: str) -> ChatHistory:
    made = ChatHistory(system_message="You are brief.")
    for text in texts:
        made.add_user_message(text)
    return made


async def chat(box: Box) -> None:
    answer = await service(box).get_chat_message_content(history("What is the capital of France?"), settings(40))
    assert "Paris" in answer.content


async def stream(box: Box) -> None:
    pieces = service(box).get_streaming_chat_message_content(history("What is the capital of France?"), settings(40))
    found = [piece.content async for piece in pieces if piece]
    assert len(found) > 1
    assert "Paris" in "".join(found)


async def turns(box: Box) -> None:
    turns = history("My name is Ada. Remember it.")
    turns.add_message(await service(box).get_chat_message_content(turns, settings(40)))
    turns.add_user_message("What is my name? Answer with one word.")
    assert "Ada" in (await service(box).get_chat_message_content(turns, settings(40))).content


async def _ask_weather(box: Box, behavior: FunctionChoiceBehavior) -> tuple[Weather, str]:
    kernel, weather = Kernel(), Weather()
    kernel.add_plugin(weather, "weather")
    asked = settings(200, function_choice_behavior=behavior)
    # It writes "plugin-function" as the name of a tool.
    question = history(ASK_WEATHER.replace("get_weather", "weather-get_weather"))
    answer = await service(box).get_chat_message_content(question, asked, kernel=kernel)
    return weather, answer.content


async def tools(box: Box) -> None:
    weather, answer = await _ask_weather(box, FunctionChoiceBehavior.Auto())
    assert "Paris" in weather.asked_for[0]
    assert "21" in answer


async def forced(box: Box) -> None:
    weather, _ = await _ask_weather(box, FunctionChoiceBehavior.Required())
    assert "Paris" in weather.asked_for[0]


async def schema(box: Box) -> None:
    asked = settings(64, response_format=City)
    answer = await service(box).get_chat_message_content(history("Where is the Eiffel tower?"), asked)
    assert City.model_validate_json(answer.content)


async def errors(box: Box) -> None:
    for wrong in [{"key": "wrong"}, {"name": "no-such-model"}]:
        with raises(ServiceResponseException):
            await service(box, **wrong).get_chat_message_content(history("Hello"), settings(16))
