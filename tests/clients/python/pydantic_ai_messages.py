"""Pydantic AI with Anthropic's API."""

from __future__ import annotations

from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.providers.anthropic import AnthropicProvider

from tests.clients.python.box import Box
from tests.clients.python.pydantic_ai import Calls


def make(box: Box, name: str, key: str) -> AnthropicModel:
    # It uses Anthropic's own formats only for models that it knows by name.
    profile = ModelProfile(supports_json_schema_output=True)
    return AnthropicModel(name, provider=AnthropicProvider(base_url=box.http, api_key=key), profile=profile)


calls = Calls(make)
