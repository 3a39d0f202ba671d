"""OpenAI's Agents SDK: chat completions."""

from __future__ import annotations

from agents import OpenAIChatCompletionsModel

from tests.clients.python.openai_agents import Calls

calls = Calls(OpenAIChatCompletionsModel)
