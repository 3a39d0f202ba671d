"""The HTTP API described in OpenAPI's form, made from the bodies that the gateway checks. It serves nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic.json_schema import models_json_schema

from appliance import __version__
from appliance.gateway.error_table import TABLE
from appliance.gateway.openai.parameters import CHAT, COMPLETIONS, IGNORED, REFUSED
from appliance.gateway.openai.schema import ChatBody, CompletionBody, EmbeddingBody
from appliance.gateway.openai.strict import Strict

_TEMPLATE = "#/components/schemas/{model}"
_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
# Nobody is left to receive it.
_UNSEEN = 499


@dataclass(frozen=True)
class Endpoint:
    """One path with one method.

    Attributes:
        method: in small letters.
        path: with its parameters in braces.
        summary: one line for people.
        answer: name of the answer's schema.
        body: what is sent; None for nothing.
        endpoint: which of the tables in `parameters` apply.
        streams: whether the answer may be server-sent events.
    """

    method: Literal["get", "post"]
    path: str
    summary: str
    answer: str
    body: type[Strict] | None = None
    endpoint: str = ""
    streams: bool = False


ENDPOINTS = (
    Endpoint("post", "/v1/chat/completions", "Answer a conversation", "ChatAnswer", ChatBody, CHAT, streams=True),
    Endpoint("post", "/v1/completions", "Continue a prompt", "Completion", CompletionBody, COMPLETIONS, streams=True),
    Endpoint("post", "/v1/embeddings", "Refused until an embedding model is installed", "Nothing", EmbeddingBody),
    Endpoint("get", "/v1/models", "List the models on offer", "Models"),
    Endpoint("get", "/v1/models/{name}", "Describe a model", "Model"),
    Endpoint("get", "/health/live", "Whether the gateway runs", "Health"),
    Endpoint("get", "/health/ready", "Whether a request would be taken now", "Health"),
)


def document(models: Sequence[str]) -> dict[str, Any]:
    """Return the description for a gateway that offers these models."""
    bodies = [endpoint.body for endpoint in ENDPOINTS if endpoint.body is not None]
    _, definitions = models_json_schema([(body, "validation") for body in bodies], ref_template=_TEMPLATE)
    schemas = {**definitions["$defs"], **_answers()}
    for endpoint in ENDPOINTS:
        if endpoint.body is not None:
            properties = schemas[endpoint.body.__name__]["properties"]
            properties["model"] = {**properties["model"], "enum": list(models)}
            properties.update(_without_effect(endpoint.endpoint))
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(endpoint.path, {})[endpoint.method] = _operation(endpoint, models)
    return {
        "openapi": "3.1.0",
        "info": {"title": "appliance", "version": __version__, "summary": "OpenAI's API, on this box"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _operation(endpoint: Endpoint, models: Sequence[str]) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": _reference(endpoint.answer)}}
    if endpoint.streams:
        content["text/event-stream"] = {"schema": _TEXT}
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "responses": {"200": {"description": "the answer", "content": content}, **_failures()},
    }
    if endpoint.body is not None:
        schema = _reference(endpoint.body.__name__)
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if "{name}" in endpoint.path:
        schema = {**_TEXT, "minLength": 1, "examples": list(models)}
        operation["parameters"] = [{"name": "name", "in": "path", "required": True, "schema": schema}]
    return operation


def _without_effect(endpoint: str) -> dict[str, Any]:
    """The parameters that are ignored, and those that only pass with a value that asks for nothing."""
    ignored = {name: {"description": one.why} for name, one in IGNORED.items() if endpoint in one.endpoints}
    refused = {
        name: {"enum": [None, *one.neutral], "description": f"refused otherwise: {one.why}"}
        for name, one in REFUSED.items()
        if endpoint in one.endpoints
    }
    return ignored | refused


def _failures() -> dict[str, Any]:
    content = {"application/json": {"schema": _reference("Failure")}}
    statuses = sorted({row.http for row in TABLE.values()} - {_UNSEEN})
    return {str(status): {"description": "a failure, with its cause", "content": content} for status in statuses}


def _answers() -> dict[str, Any]:
    """Schemas of what is sent back; clients know more than this, so they are open."""
    usage = _object(prompt_tokens=_COUNT, completion_tokens=_COUNT, total_tokens=_COUNT)
    choice = _object(index=_COUNT, finish_reason={"enum": ["stop", "length", "tool_calls"]})
    answer = {"id": _TEXT, "created": _COUNT, "model": _TEXT, "usage": usage}
    chat = {**choice, "properties": {**choice["properties"], "message": _object(role={"const": "assistant"})}}
    text = {**choice, "properties": {**choice["properties"], "text": _TEXT}}
    nullable = {"type": ["string", "null"]}
    return {
        "ChatAnswer": _object(object={"const": "chat.completion"}, choices=_list(chat), **answer),
        "Completion": _object(object={"const": "text_completion"}, choices=_list(text), **answer),
        "Model": _object(id=_TEXT, object={"const": "model"}, max_model_len=_COUNT),
        "Models": _object(object={"const": "list"}, data=_list(_reference("Model"))),
        "Health": _object(status=_TEXT),
        "Nothing": {"not": {}},
        "Failure": _object(error=_object(message=_TEXT, type=_TEXT, param=nullable, code=nullable)),
    }


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": sorted(properties)}


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": _TEMPLATE.format(model=name)}
