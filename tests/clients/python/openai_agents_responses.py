"""OpenAI's Agents SDK: responses."""

from __future__ import annotations

from agents import OpenAIResponsesModel

from tests.clients.python.openai_agents import Calls

calls = Calls(OpenAIResponsesModel)
