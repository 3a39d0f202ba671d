"""LiteLLM with Anthropic's API."""

from __future__ import annotations

from tests.clients.python.litellm import Calls

calls = Calls("anthropic", "http")
