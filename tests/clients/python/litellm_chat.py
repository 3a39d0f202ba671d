"""LiteLLM with OpenAI's API."""

from __future__ import annotations

from tests.clients.python.box import Box
from tests.clients.python.litellm import Calls
from tests.clients.python.openai_chat import HELLO

calls = Calls("openai", "v1")


def chat(box: Box) -> None:
    calls.chat(box)
    # What its users set for every model; `drop_params` stays off.
    hints = {"reasoning_effort": "low", "user": "ada", "metadata": {"trace": "1"}, "service_tier": "auto"}
    calls.ask(box, HELLO, max_tokens=16, **hints)


def turns(box: Box) -> None:
    messages = [{"role": "user", "content": "My name is Ada. Remember it."}]
    first = calls.ask(box, messages, max_tokens=40).choices[0].message
    messages += [first.model_dump(), {"role": "user", "content": "What is my name? Answer with one word."}]
    assert "Ada" in calls.ask(box, messages, max_tokens=16).choices[0].message.content


def cancel(box: Box) -> None:
    with box.cancels_one():
        answer = calls.ask(box, HELLO, stream=True, extra_body={"ignore_eos": True}, max_tokens=4000)
        next(answer)
        answer.completion_stream.close()
