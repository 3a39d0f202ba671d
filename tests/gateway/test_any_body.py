"""Whatever JSON comes, it is a request or a refusal that says why; never anything else."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.artefact.manifest import Generation
from appliance.errors import RequestError
from appliance.gateway.anthropic import parameters as anthropic
from appliance.gateway.anthropic.conversation import chat_request as messages_request
from appliance.gateway.anthropic.schema import MessagesBody
from appliance.gateway.bodies import json_body as body
from appliance.gateway.bodies.accepted import accept
from appliance.gateway.ollama import parameters as ollama
from appliance.gateway.ollama.conversation import chat_request as ollama_request
from appliance.gateway.ollama.options import options_of
from appliance.gateway.ollama.schema import OllamaChatBody
from appliance.gateway.openai.responses import parameters as responses
from appliance.gateway.openai.responses.conversation import items_of, turns_of
from appliance.gateway.openai.responses.offered import offered_tools
from appliance.gateway.openai.responses.request import chat_request as responses_request
from appliance.gateway.openai.responses.schema import ResponseBody

# Words that mean something to either API, so that the values get far.
WORDS = [
    *("type", "role", "content", "text", "input", "messages", "tools", "tool_choice", "name", "arguments", "call_id"),
    *("output", "id", "input_schema", "parameters", "format", "schema", "thinking", "reasoning", "summary", "system"),
    *("user", "assistant", "developer", "message", "function_call", "function_call_output", "input_text", "tool_use"),
    *("output_text", "tool_result", "tool_use_id", "function", "json_schema", "enabled", "budget_tokens", "required"),
]
KEYS = st.one_of(st.sampled_from(WORDS), st.text(max_size=5))
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=True), KEYS, st.sampled_from(["auto", "none", "any"])
)
JSON: Any = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=20
)


def parsed(kind, policy, value):
    return accept(kind, policy, body.read_object(json.dumps(value).encode()), "ignore").body


@settings(max_examples=300)
@given(st.dictionaries(KEYS, JSON, max_size=6), JSON)
def test_any_json_is_a_response_request_or_a_refusal(fields, value):
    with contextlib.suppress(RequestError):
        asked = parsed(ResponseBody, responses.POLICY, {**fields, "model": "m", "input": value})
        assert responses_request(asked, turns_of(asked.input), offered_tools(asked.tools)).messages
        json.dumps(items_of(asked.input))


@settings(max_examples=300)
@given(st.dictionaries(KEYS, JSON, max_size=6), JSON)
def test_any_json_is_a_message_request_or_a_refusal(fields, value):
    with contextlib.suppress(RequestError):
        asked = parsed(MessagesBody, anthropic.POLICY, {**fields, "model": "m", "max_tokens": 1, "messages": value})
        assert messages_request(asked).messages


@settings(max_examples=300)
@given(st.dictionaries(KEYS, JSON, max_size=6), JSON, JSON)
def test_any_json_is_an_ollama_request_or_a_refusal(fields, value, options):
    with contextlib.suppress(RequestError):
        given_ = {**fields, "model": "m", "messages": value, "options": options}
        asked = parsed(OllamaChatBody, ollama.POLICIES[ollama.CHAT], given_)
        options_of(asked, Generation(eos_token_ids=()), "ignore")
        assert not asked.messages or ollama_request(asked).messages


def test_the_last_of_two_values_of_one_name_counts_at_every_depth():
    assert body.read_object(b'{"a": 1, "b": [{"c": 1, "c": 2}], "a": 3}') == {"a": 3, "b": [{"c": 2}]}


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_a_refusal(content):
    with contextlib.suppress(RequestError):
        assert isinstance(body.read_object(content), dict)
