"""Pydantic AI with OpenAI's API: responses."""

from __future__ import annotations

from pydantic_ai.models.openai import OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

from tests.clients.python.box import Box
from tests.clients.python.pydantic_ai import Calls


def make(box: Box, name: str, key: str) -> OpenAIResponsesModel:
    return OpenAIResponsesModel(name, provider=OpenAIProvider(base_url=box.v1, api_key=key))


calls = Calls(make)
