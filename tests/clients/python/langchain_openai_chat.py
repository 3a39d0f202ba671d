"""LangChain with OpenAI's API: chat completions."""

from __future__ import annotations

import openai
from langchain_openai import ChatOpenAI

from tests.clients.python.box import TOO_LONG, Box
from tests.clients.python.expect import raises
from tests.clients.python.langchain import Calls


def make(box: Box, *, ignore_eos: bool = False, **parameters) -> ChatOpenAI:
    asked = {
        "model": box.model,
        "api_key": box.key,
        "temperature": 0,
        "max_retries": 0,
        "stream_usage": True,
        **parameters,
    }
    return ChatOpenAI(base_url=box.v1, extra_body={"ignore_eos": True} if ignore_eos else None, **asked)


calls = Calls(make)


def errors(box: Box) -> None:
    with raises(openai.AuthenticationError, status_code=401):
        make(box, api_key="wrong").invoke("Hello")
    with raises(openai.NotFoundError, status_code=404):
        make(box, model="gpt-5").invoke("Hello")
    with raises(openai.BadRequestError, code="context_length_exceeded"):
        make(box).invoke(TOO_LONG)
