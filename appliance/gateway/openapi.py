"""The HTTP API's description in OpenAPI's format, generated from the checked bodies. It serves nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic.json_schema import models_json_schema

from appliance import __version__
from appliance.gateway.anthropic import parameters as anthropic
from appliance.gateway.anthropic.failure import OVERLOADED_STATUS
from appliance.gateway.anthropic.schema import CountBody, MessagesBody
from appliance.gateway.bodies.parameter_policy import ParameterPolicy
from appliance.gateway.bodies.strict import Strict
from appliance.gateway.error_table import TABLE
from appliance.gateway.inquiry.schema import TOKENIZE_POLICY, DetokenizeBody, TokenizeBody
from appliance.gateway.ollama import parameters as ollama
from appliance.gateway.ollama.schema import EmbedBody, EmbedOneBody, GenerateBody, OllamaChatBody, ShowBody
from appliance.gateway.openai.decisions.api import POLICY as DECISIONS
from appliance.gateway.openai.decisions.schema import DecisionBody
from appliance.gateway.openai.embeddings import EmbeddingBody
from appliance.gateway.openai.pairs import POLICY as PAIRS
from appliance.gateway.openai.parameters import CHAT, COMPLETIONS, POLICIES
from appliance.gateway.openai.rerank import RerankBody
from appliance.gateway.openai.responses import parameters as responses
from appliance.gateway.openai.responses.schema import PromptFields, ResponseBody
from appliance.gateway.openai.schema import ChatBody, CompletionBody
from appliance.gateway.openai.score import ScoreBody

_TEMPLATE = "#/components/schemas/{model}"
_TEXT = {"type": "string"}
_EVENTS, _LINES = "text/event-stream", "application/x-ndjson"
# OpenAPI has no schema for a stream, so these are the schemas of one event and of one line.
_PIECES: dict[str, dict[str, Any]] = {
    _EVENTS: {"type": "object", "properties": {"event": _TEXT, "data": _TEXT}, "required": ["data"]},
    _LINES: {"type": "object"},
}
_COUNT = {"type": "integer", "minimum": 0}
# Only logged: the client no longer receives answers with this status.
_UNSEEN = 499
_NO_POLICY = ParameterPolicy()


@dataclass(frozen=True)
class Endpoint:
    """One path with one method.

    Attributes:
        method: in lower case.
        path: with its parameters in braces.
        summary: one line for people.
        answer: name of the answer's schema.
        body: the request body; None: the request has no body.
        stream: the media type of an answer in pieces; empty: the answer is always whole.
        policy: the rules for parameters that the schema does not contain.
        failure: name of the schema of errors.
    """

    method: Literal["get", "post", "delete"]
    path: str
    summary: str
    answer: str
    body: type[Strict] | None = None
    stream: str = ""
    policy: ParameterPolicy = _NO_POLICY
    failure: str = "Failure"


_KEPT = "/v1/responses/{response_id}"
ENDPOINTS = (
    Endpoint(
        *("post", "/v1/chat/completions", "Generate the next message of a conversation", "ChatAnswer", ChatBody),
        stream=_EVENTS,
        policy=POLICIES[CHAT],
    ),
    Endpoint(
        *("post", "/v1/completions", "Continue a prompt", "Completion", CompletionBody),
        stream=_EVENTS,
        policy=POLICIES[COMPLETIONS],
    ),
    Endpoint("post", "/v1/embeddings", "Compute the vectors of texts", "Embeddings", EmbeddingBody),
    Endpoint("post", "/v1/rerank", "Sort documents by their relevance to a query", "Ranking", RerankBody, policy=PAIRS),
    Endpoint("post", "/v2/rerank", "Sort documents by their relevance to a query", "Ranking", RerankBody, policy=PAIRS),
    Endpoint(
        *("post", "/v1/decisions", "Answer questions about an input with probabilities", "Decision", DecisionBody),
        policy=DECISIONS,
    ),
    Endpoint("post", "/v1/score", "Compute the scores of pairs of texts", "Scores", ScoreBody, policy=PAIRS),
    Endpoint(
        *("post", "/v1/responses", "Generate a response", "Response", ResponseBody),
        stream=_EVENTS,
        policy=responses.POLICY,
    ),
    Endpoint(
        *("post", "/v1/responses/input_tokens", "Count the tokens of an input", "InputTokens", PromptFields),
        policy=responses.POLICY,
    ),
    Endpoint("get", _KEPT, "Get a stored response", "Response"),
    Endpoint("delete", _KEPT, "Delete a stored response", "Deleted"),
    Endpoint("get", f"{_KEPT}/input_items", "List the input items of a stored response", "Items"),
    Endpoint(
        *(
            "post",
            "/v1/messages",
            "Generate the next message of a conversation (Anthropic's API)",
            "Message",
            MessagesBody,
        ),
        stream=_EVENTS,
        policy=anthropic.POLICY,
        failure="MessageFailure",
    ),
    Endpoint(
        *("post", "/v1/messages/count_tokens", "Count the tokens of a conversation", "MessageTokens", CountBody),
        policy=anthropic.POLICY,
        failure="MessageFailure",
    ),
    Endpoint(
        *("post", "/api/chat", "Generate the next message of a conversation (Ollama's API)", "OllamaChat"),
        body=OllamaChatBody,
        stream=_LINES,
        policy=ollama.POLICIES[ollama.CHAT],
        failure="OllamaFailure",
    ),
    Endpoint(
        *("post", "/api/generate", "Answer a prompt (Ollama's API)", "OllamaAnswer", GenerateBody),
        stream=_LINES,
        policy=ollama.POLICIES[ollama.GENERATE],
        failure="OllamaFailure",
    ),
    Endpoint(
        *("post", "/api/embed", "Compute the vectors of texts (Ollama's API)", "OllamaVectors", EmbedBody),
        policy=ollama.EMBED,
        failure="OllamaFailure",
    ),
    Endpoint(
        *("post", "/api/embeddings", "Compute the vector of a text (Ollama's older API)", "OllamaVector", EmbedOneBody),
        policy=ollama.EMBED,
        failure="OllamaFailure",
    ),
    Endpoint(
        *("post", "/api/show", "Describe a model (Ollama's API)", "OllamaModel", ShowBody),
        policy=ollama.SHOW,
        failure="OllamaFailure",
    ),
    Endpoint("get", "/api/tags", "List the models (Ollama's API)", "OllamaModels", failure="OllamaFailure"),
    Endpoint("get", "/api/ps", "List the loaded models (Ollama's API)", "OllamaModels", failure="OllamaFailure"),
    Endpoint("get", "/api/version", "Get the version of Ollama's API", "Version", failure="OllamaFailure"),
    Endpoint(
        "post",
        "/v1/tokenize",
        "Convert a text or a conversation to tokens",
        "Tokens",
        TokenizeBody,
        policy=TOKENIZE_POLICY,
    ),
    Endpoint("post", "/v1/detokenize", "Convert tokens to text", "Text", DetokenizeBody),
    Endpoint("get", "/tokenizer_info", "Describe the tokenizer of a model", "Tokenizer"),
    Endpoint("get", "/v1/models/{name}/queue", "Estimate how long a new request would wait", "Queue"),
    Endpoint("get", "/v1/models", "List the models", "Models"),
    Endpoint("get", "/v1/models/{name}", "Describe a model", "Model"),
    Endpoint("get", "/health", "Check that the box accepts requests, as llama.cpp and vLLM do", "Health"),
    Endpoint("get", "/health/live", "Check that the gateway runs", "Health"),
    Endpoint("get", "/health/ready", "Check that the box accepts requests", "Health"),
    Endpoint("get", "/version", "Get the version of the appliance", "Version"),
)


def document(models: Sequence[str]) -> dict[str, Any]:
    """Return the description for a gateway that serves these models."""
    bodies = [endpoint.body for endpoint in ENDPOINTS if endpoint.body is not None]
    _, definitions = models_json_schema([(body, "validation") for body in bodies], ref_template=_TEMPLATE)
    schemas = {**definitions["$defs"], **_answers()}
    for endpoint in ENDPOINTS:
        if endpoint.body is not None:
            properties = schemas[endpoint.body.__name__]["properties"]
            properties["model"] = {**properties["model"], "enum": list(models)}
            properties.update(_without_effect(endpoint.policy))
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(endpoint.path, {})[endpoint.method] = _operation(endpoint, models)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "appliance",
            "version": __version__,
            "summary": "OpenAI's, Anthropic's and Ollama's APIs, on this box",
        },
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _operation(endpoint: Endpoint, models: Sequence[str]) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": _reference(endpoint.answer)}}
    if endpoint.stream:
        content[endpoint.stream] = {"schema": _PIECES[endpoint.stream]}
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "responses": {"200": {"description": "the answer", "content": content}, **_failures(endpoint.failure)},
    }
    if endpoint.body is not None:
        schema = _reference(endpoint.body.__name__)
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    examples = {"name": list(models), "response_id": ["resp_1"]}
    for name in re.findall(r"{(.*?)}", endpoint.path):
        schema = {**_TEXT, "minLength": 1, "examples": examples[name]}
        operation["parameters"] = [{"name": name, "in": "path", "required": True, "schema": schema}]
    return operation


def _without_effect(policy: ParameterPolicy) -> dict[str, Any]:
    """The parameters that the schema does not contain."""
    ignored = {name: {"description": f"no effect: {one.why}"} for name, one in policy.hints.items()}
    renamed = {name: {"description": f"as {one.parameter}"} for name, one in policy.synonyms.items()}
    refused = {
        name: {"enum": [None, *one.neutral], "description": f"other values are errors: {one.why}"}
        for name, one in policy.refused.items()
    }
    return ignored | renamed | refused


def _failures(name: str) -> dict[str, Any]:
    content = {"application/json": {"schema": _reference(name)}}
    statuses = sorted({row.http for row in TABLE.values()} - {_UNSEEN} | {OVERLOADED_STATUS})
    return {str(status): {"description": "an error with its reason", "content": content} for status in statuses}


def _answers() -> dict[str, Any]:
    """Schemas of the answers. Answers have more fields than these, so the schemas allow additional fields."""
    usage = _object(prompt_tokens=_COUNT, completion_tokens=_COUNT, total_tokens=_COUNT)
    choice = _object(index=_COUNT, finish_reason={"enum": ["stop", "length", "tool_calls"]})
    answer = {"id": _TEXT, "created": _COUNT, "model": _TEXT, "usage": usage}
    chat = {**choice, "properties": {**choice["properties"], "message": _object(role={"const": "assistant"})}}
    text = {**choice, "properties": {**choice["properties"], "text": _TEXT}}
    nullable = {"type": ["string", "null"]}
    items = _list(_object(type=_TEXT))
    spent = _object(input_tokens=_COUNT, output_tokens=_COUNT)
    result = _object(index=_COUNT, relevance_score={"type": "number"})
    score = _object(index=_COUNT, object={"const": "score"}, score={"type": "number"})
    vector = _object(index=_COUNT, embedding={"type": ["array", "string"]})
    return {
        "Response": _object(id=_TEXT, object={"const": "response"}, status=_TEXT, output=items, model=_TEXT),
        "InputTokens": _object(object={"const": "response.input_tokens"}, input_tokens=_COUNT),
        "Deleted": _object(id=_TEXT, deleted={"const": True}),
        "Items": _object(object={"const": "list"}, data=items, has_more={"type": "boolean"}),
        "Message": _object(id=_TEXT, type={"const": "message"}, content=items, stop_reason=_TEXT, usage=spent),
        "MessageTokens": _object(input_tokens=_COUNT),
        "MessageFailure": _object(type={"const": "error"}, error=_object(type=_TEXT, message=_TEXT), request_id=_TEXT),
        "Tokens": _object(count=_COUNT, max_model_len=_COUNT, tokens=_list(_COUNT)),
        "Text": _object(prompt=_TEXT),
        "Tokenizer": _object(tokenizer_class=_TEXT, eos_token=_TEXT, model_max_length=_COUNT),
        "Queue": _object(model=_TEXT, requests=_COUNT, slots=_COUNT, wait_s={"type": ["number", "null"]}),
        "ChatAnswer": _object(object={"const": "chat.completion"}, choices=_list(chat), **answer),
        "Completion": _object(object={"const": "text_completion"}, choices=_list(text), **answer),
        "Model": _object(id=_TEXT, object={"const": "model"}, max_model_len=_COUNT),
        "Models": _object(object={"const": "list"}, data=_list(_reference("Model"))),
        "Health": _object(status=_TEXT),
        "Version": _object(version=_TEXT),
        "Embeddings": _object(object={"const": "list"}, data=_list(vector), usage={"type": "object"}),
        "OllamaChat": _object(model=_TEXT, created_at=_TEXT, message={"type": "object"}, done={"const": True}),
        "OllamaAnswer": _object(model=_TEXT, created_at=_TEXT, response=_TEXT, done={"const": True}),
        "OllamaVectors": _object(model=_TEXT, embeddings=_list({"type": "array"})),
        "OllamaVector": _object(embedding={"type": "array"}),
        "OllamaModel": _object(details={"type": "object"}, model_info={"type": "object"}, capabilities=_list(_TEXT)),
        "OllamaModels": _object(models=_list(_object(name=_TEXT, model=_TEXT, digest=_TEXT))),
        "OllamaFailure": _object(error=_TEXT),
        "Ranking": _object(id=_TEXT, model=_TEXT, results=_list(result), usage={"type": "object"}),
        "Scores": _object(id=_TEXT, object={"const": "list"}, data=_list(score), model=_TEXT, usage={"type": "object"}),
        "Decision": _object(answers=_list(_object(type=_TEXT)), model=_TEXT, usage=spent),
        "Failure": _object(error=_object(message=_TEXT, type=_TEXT, param=nullable, code=nullable)),
    }


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": sorted(properties)}


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": _TEMPLATE.format(model=name)}
