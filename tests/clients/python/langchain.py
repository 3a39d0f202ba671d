"""What LangChain's chat models have in common."""

from __future__ import annotations

import pydantic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool

from tests.clients.python.box import ASK_WEATHER, WEATHER, Box


class City(pydantic.BaseModel):
    """Where something is."""

    name: str
    country: str


@tool
def get_weather(city: str) -> str:
    """Get the weather in a city."""
    return f"{city}: {WEATHER}"


class Calls:
    """The calls of one chat model of LangChain.

    Attributes:
        make: makes the model; parameters are those of its class.
    """

    def __init__(self, make) -> None:
        self.make = make

    def chat(self, box: Box) -> None:
        answer = self.make(box, max_tokens=16).invoke("What is an inode? Answer in one sentence.")
        assert answer.text
        assert answer.usage_metadata["output_tokens"] == 16

    def stream(self, box: Box) -> None:
        model = self.make(box, max_tokens=40)
        pieces = list(model.stream("What is the capital of France?"))
        assert len([piece for piece in pieces if piece.text]) > 1
        whole = pieces[0]
        for piece in pieces[1:]:
            whole += piece
        assert whole.text == model.invoke("What is the capital of France?").text
        assert whole.usage_metadata["output_tokens"] > 1

    def turns(self, box: Box) -> None:
        model = self.make(box, max_tokens=40)
        turns = [SystemMessage("You are brief."), HumanMessage("My name is Ada. Remember it.")]
        turns += [model.invoke(turns), HumanMessage("What is my name? Answer with one word.")]
        assert "Ada" in model.invoke(turns).text

    def tools(self, box: Box) -> None:
        model = self.make(box, max_tokens=64).bind_tools([get_weather])
        turns = [HumanMessage(ASK_WEATHER)]
        turns.append(model.invoke(turns))
        (call,) = turns[-1].tool_calls
        turns.append(get_weather.invoke(call))
        assert "21" in model.invoke(turns).text

    def forced(self, box: Box) -> None:
        for choice in ["any", "get_weather"]:
            answer = self.make(box, max_tokens=200).bind_tools([get_weather], tool_choice=choice).invoke(ASK_WEATHER)
            assert isinstance(answer, AIMessage)
            assert {call["name"] for call in answer.tool_calls} == {"get_weather"}

    def schema(self, box: Box) -> None:
        model: BaseChatModel = self.make(box, max_tokens=64)
        found = model.with_structured_output(City).invoke("Where is the Eiffel tower?")
        assert isinstance(found, City)
        found = model.with_structured_output(City, method="function_calling").invoke("Where is the Eiffel tower?")
        assert isinstance(found, City)

    def cancel(self, box: Box) -> None:
        with box.cancels_one():
            pieces = self.make(box, max_tokens=4000, ignore_eos=True).stream("Write a story.")
            next(piece for piece in pieces if piece.text)
            pieces.close()
