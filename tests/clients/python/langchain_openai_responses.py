"""LangChain with OpenAI's API: responses."""

from __future__ import annotations

import openai

from tests.clients.python import langchain_openai_chat
from tests.clients.python.box import Box
from tests.clients.python.expect import raises
from tests.clients.python.langchain import Calls


def make(box: Box, **parameters):
    return langchain_openai_chat.make(box, use_responses_api=True, **parameters)


calls = Calls(make)


def errors(box: Box) -> None:
    with raises(openai.AuthenticationError, status_code=401):
        make(box, api_key="wrong").invoke("Hello")
