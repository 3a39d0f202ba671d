"""LangChain with Anthropic's API."""

from __future__ import annotations

import anthropic
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage

from tests.clients.python.box import TOO_LONG, Box
from tests.clients.python.expect import raises
from tests.clients.python.langchain import Calls


def make(box: Box, *, ignore_eos: bool = False, **parameters) -> ChatAnthropic:
    asked = {"model": box.model, "api_key": box.key, "temperature": 0, "max_retries": 0, **parameters}
    return ChatAnthropic(
        base_url=box.http, model_kwargs={"extra_body": {"ignore_eos": True}} if ignore_eos else {}, **asked
    )


calls = Calls(make)


def errors(box: Box) -> None:
    with raises(anthropic.AuthenticationError, status_code=401):
        make(box, api_key="wrong").invoke("Hello")
    with raises(anthropic.NotFoundError, status_code=404):
        make(box, model="claude").invoke("Hello")
    with raises(anthropic.BadRequestError, status_code=400):
        make(box).invoke(TOO_LONG)


def tokens(box: Box) -> None:
    answer = make(box, max_tokens=1).invoke("Hello")
    assert make(box).get_num_tokens_from_messages([HumanMessage("Hello")]) == answer.usage_metadata["input_tokens"]
