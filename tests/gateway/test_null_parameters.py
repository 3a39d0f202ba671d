"""Null means absent, on every HTTP API and at every depth: clients that dump whole models send it for what is unset."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.errors import RequestError
from appliance.gateway.anthropic import parameters as anthropic
from appliance.gateway.anthropic.schema import CountBody, MessagesBody
from appliance.gateway.bodies.accepted import accept
from appliance.gateway.bodies.parameter_policy import ParameterPolicy
from appliance.gateway.inquiry.schema import DetokenizeBody, TokenizeBody
from appliance.gateway.ollama import parameters as ollama
from appliance.gateway.ollama.schema import GenerateBody, OllamaChatBody, ShowBody
from appliance.gateway.openai.embeddings import EmbeddingBody
from appliance.gateway.openai.parameters import CHAT, COMPLETIONS, POLICIES
from appliance.gateway.openai.rerank import RerankBody
from appliance.gateway.openai.responses import parameters as responses
from appliance.gateway.openai.responses.schema import PromptFields, ResponseBody
from appliance.gateway.openai.schema import ChatBody, CompletionBody
from appliance.gateway.openai.score import ScoreBody
from tests.gateway.fake_triton import words
from tests.reference.parameter_table import names_of

MODEL = "tiny-talker"
SCHEMA = {"type": "object", "properties": {"city": {"enum": ["Paris", None], "default": None}}}
FUNCTION = {"name": "f", "description": "d", "parameters": SCHEMA}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"city": null}'}}
CHAT_BODY: dict[str, Any] = {
    "model": MODEL,
    "messages": [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c", "content": "sunny"},
    ],
    "tools": [{"type": "function", "function": FUNCTION}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "stream": True,
    "stream_options": {"include_usage": True},
    "response_format": {"type": "text"},
}
MESSAGES_BODY: dict[str, Any] = {
    "model": MODEL,
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm"},
                {"type": "tool_use", "id": "c", "name": "f", "input": {"city": None}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "sunny"}]},
    ],
    "system": [{"type": "text", "text": "Be brief"}],
    "tools": [{"name": "f", "description": "d", "input_schema": SCHEMA}],
    "tool_choice": {"type": "tool", "name": "f"},
    "thinking": {"type": "disabled"},
}
RESPONSE_BODY: dict[str, Any] = {
    "model": MODEL,
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Hello"}]},
        {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"city": null}'},
        {"type": "function_call_output", "call_id": "c", "output": "sunny"},
    ],
    "tools": [{"type": "function", **FUNCTION}],
    "tool_choice": {"type": "function", "name": "f"},
    "text": {"format": {"type": "text"}},
    "reasoning": {"effort": "none"},
}
OLLAMA_BODY: dict[str, Any] = {
    "model": MODEL,
    "messages": [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": "Hello"},
        {
            "role": "assistant",
            "thinking": "hm",
            "tool_calls": [{"function": {"name": "f", "arguments": {"city": None}}}],
        },
        {"role": "tool", "tool_name": "f", "content": "sunny"},
    ],
    "tools": [{"type": "function", "function": FUNCTION}],
    "options": {"temperature": 0},
    "think": False,
    "keep_alive": "5m",
}
NONE = ParameterPolicy()
CASES: dict[str, tuple[Any, ParameterPolicy, dict[str, Any]]] = {
    "/v1/chat/completions": (ChatBody, POLICIES[CHAT], CHAT_BODY),
    "/v1/completions": (CompletionBody, POLICIES[COMPLETIONS], {"model": MODEL, "prompt": "a"}),
    "/v1/responses": (ResponseBody, responses.POLICY, RESPONSE_BODY),
    "/v1/responses/input_tokens": (PromptFields, responses.POLICY, RESPONSE_BODY),
    "/v1/messages": (MessagesBody, anthropic.POLICY, {**MESSAGES_BODY, "max_tokens": 5}),
    "/v1/messages/count_tokens": (CountBody, anthropic.POLICY, MESSAGES_BODY),
    "/api/chat": (OllamaChatBody, ollama.POLICIES[ollama.CHAT], OLLAMA_BODY),
    "/api/generate": (GenerateBody, ollama.POLICIES[ollama.GENERATE], {"model": MODEL, "prompt": "a"}),
    "/api/show": (ShowBody, ollama.SHOW, {"model": MODEL}),
    "/v1/tokenize": (TokenizeBody, NONE, {"model": MODEL, "messages": CHAT_BODY["messages"]}),
    "/v1/detokenize": (DetokenizeBody, NONE, {"model": MODEL, "tokens": [1, 2]}),
}
# What stands under these is the client's own: null is a value there.
OWN = {"parameters", "input_schema", "input", "arguments", "options"}


def with_nulls(value: Any, key: str = "") -> Any:
    """The value with a parameter that nobody knows, and that is null, in each of its objects."""
    if isinstance(value, list):
        return [with_nulls(one) for one in value]
    if not isinstance(value, dict) or (key in OWN and "role" not in value):
        return value
    return {**{name: with_nulls(one, name) for name, one in value.items()}, "of_another_server": None}


def padded(path: str) -> dict[str, Any]:
    """The case's body with nulls inside, and with null for every parameter of the tables that it does not have."""
    kind, policy, plain = CASES[path]
    names = {*kind.model_fields, *names_of(policy), "of_another_server"}
    return {**dict.fromkeys(sorted(names)), **with_nulls(plain)}


@pytest.mark.parametrize("path", CASES)
def test_a_body_with_nulls_is_the_body_without_them(path):
    kind, policy, plain = CASES[path]
    assert accept(kind, policy, padded(path), "refuse") == accept(kind, policy, plain, "refuse")


@pytest.mark.parametrize("path", CASES)
def test_every_api_takes_a_body_with_nulls(http, harness, path):
    harness.triton.script = words("Hello")
    response = http.post(path, json=padded(path))
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("path", CASES)
def test_a_parameter_that_is_needed_is_still_missed_when_it_is_null(path):
    kind, policy, plain = CASES[path]
    for name, info in kind.model_fields.items():
        if info.is_required():
            with pytest.raises(RequestError) as caught:
                accept(kind, policy, {**plain, name: None}, "ignore")
            assert caught.value.param == name


def test_values_that_are_null_inside_of_schemas_and_arguments_stay():
    asked = accept(MessagesBody, NONE, {**with_nulls(MESSAGES_BODY), "max_tokens": 5}, "refuse").body
    assert asked.tools[0].input_schema == SCHEMA
    assert asked.messages[1].content[1].input == {"city": None}


@pytest.mark.parametrize(
    ("path", "kind", "needed"),
    [
        ("/v1/rerank", RerankBody, {"query": "a", "documents": ["a"]}),
        ("/v1/score", ScoreBody, {"text_1": "a", "text_2": "a"}),
    ],
)
def test_a_request_to_a_reranker_with_nulls_needs_only_its_texts(http, path, kind, needed):
    nulls = {name: None for name in kind.model_fields if name not in {"model", *needed}}
    response = http.post(path, json={"model": MODEL, **needed, **nulls})
    # The parameters are right; this model generates text.
    assert (response.status_code, response.json()["error"]["param"]) == (400, "model")


def test_an_embedding_request_with_nulls_needs_only_its_model_and_its_input(http):
    nulls = {name: None for name in EmbeddingBody.model_fields if name not in {"model", "input"}}
    response = http.post("/v1/embeddings", json={"model": MODEL, "input": "a", **nulls})
    # The parameters are right; this model generates text.
    assert (response.status_code, response.json()["error"]["param"]) == (400, "model")
    response = http.post("/v1/embeddings", json={"model": MODEL, "input": None})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "input")
