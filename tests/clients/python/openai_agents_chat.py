"""OpenAI's Agents SDK: chat completions."""

from __future__ import annotations

from agents import OpenAIChatCompletionsModel

from tests.clients.python.openai_agents import Calls

_calls = Calls(OpenAIChatCompletionsModel)
chat, stream, turns, tools, forced, schema, cancel, errors = (
    _calls.chat,
    _calls.stream,
    _calls.turns,
    _calls.tools,
    _calls.forced,
    _calls.schema,
    _calls.cancel,
    _calls.errors,
)
