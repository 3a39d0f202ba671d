"""LlamaIndex with OpenAI's API."""

from __future__ import annotations

import gc

import openai
import pydantic
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike

from tests.clients.python.box import ASK_WEATHER, TOO_LONG, WEATHER, Box
from tests.clients.python.expect import raises


class City(pydantic.BaseModel):
    name: str
    country: str


def get_weather(city: str) -> str:
    """Get the weather in a city."""
    return f"{city}: {WEATHER}"


def model(box: Box, max_tokens: int, **parameters) -> OpenAILike:
    asked = {
        "model": box.model,
        "api_key": box.key,
        "api_base": box.v1,
        "temperature": 0,
        "max_retries": 0,
        "is_chat_model": True,
        **parameters,
    }
    return OpenAILike(max_tokens=max_tokens, is_function_calling_model=True, **asked)


def chat(box: Box) -> None:
    assert "Paris" in model(box, 40).chat([ChatMessage("What is the capital of France?")]).message.content
    # Without `is_chat_model` it uses completions.
    assert model(box, 8, is_chat_model=False).complete("def add(a, b):\n    return").text


def stream(box: Box) -> None:
    pieces = list(model(box, 40).stream_chat([ChatMessage("What is the capital of France?")]))
    assert len(pieces) > 1
    assert "Paris" in pieces[-1].message.content


def turns(box: Box) -> None:
    messages = [ChatMessage("You are brief.", role="system"), ChatMessage("My name is Ada. Remember it.")]
    messages.append(model(box, 40).chat(messages).message)
    messages.append(ChatMessage("What is my name? Answer with one word."))
    assert "Ada" in model(box, 40).chat(messages).message.content


async def tools(box: Box) -> None:
    agent = FunctionAgent(tools=[get_weather], llm=model(box, 64), streaming=False)
    answer = await agent.run(ASK_WEATHER)
    assert [call.tool_name for call in answer.tool_calls] == ["get_weather"]
    assert "21" in answer.response.content


def forced(box: Box) -> None:
    tool = FunctionTool.from_defaults(get_weather)
    answer = model(box, 200).chat_with_tools([tool], user_msg=ASK_WEATHER, tool_required=True)
    calls = model(box, 200).get_tool_calls_from_response(answer)
    assert {call.tool_name for call in calls} == {"get_weather"}


def schema(box: Box) -> None:
    for decoding in [False, True]:
        found = model(box, 64, should_use_structured_outputs=decoding).as_structured_llm(City)
        assert isinstance(found.complete("Where is the Eiffel tower?").raw, City)


def cancel(box: Box) -> None:
    with box.cancels_one():
        pieces = model(box, 4000).stream_chat([ChatMessage("Write a long story.")])
        next(pieces)
        # Its own generators hold the connection until they are collected.
        del pieces
        gc.collect()


def errors(box: Box) -> None:
    with raises(openai.AuthenticationError, status_code=401):
        model(box, 1, api_key="wrong").complete("Hello")
    with raises(openai.NotFoundError, status_code=404):
        model(box, 1, model="no-such-model").complete("Hello")
    with raises(openai.BadRequestError, code="context_length_exceeded"):
        model(box, 1).complete(TOO_LONG)
