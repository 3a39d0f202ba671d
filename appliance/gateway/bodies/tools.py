"""Tools, tool choice and response formats in OpenAI's format, and their conversion to the gateway's values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, StringConstraints, Tag
from pydantic_core import PydanticCustomError

from appliance.gateway.bodies.strict import Strict
from appliance.gateway.bodies.tags import type_tag
from appliance.gateway.chat.request import Tool, ToolChoice

MAX_TOOLS = 128
FunctionName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
ONLY_APPLICATION_TOOLS = (
    "the box runs no tools, such as web_search; offer a tool of your application ({types}), and send its result"
)


def only_tools_of_type(*types: str) -> BeforeValidator:
    """A validator of one tool: another `type` is a tool that the server would have to run."""

    def check(value: Any) -> Any:
        kind = value.get("type") if isinstance(value, dict) else None
        if isinstance(kind, str) and kind not in types:
            raise PydanticCustomError("unknown_tool", ONLY_APPLICATION_TOOLS, {"types": ", ".join(types)})
        return value

    return BeforeValidator(check)


class FunctionParam(Strict):
    """A function that the model may call."""

    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ToolParam(Strict):
    """A tool that the model may call; functions are the only kind."""

    type: Literal["function"]
    function: FunctionParam


class _Named(Strict):
    name: FunctionName


class NamedTool(Strict):
    """The tool that the model must call."""

    type: Literal["function"]
    function: _Named


class AllowedTools(Strict):
    """The tools that the model may call, or of which it must call one."""

    mode: Literal["auto", "required"]
    tools: list[NamedTool] = Field(min_length=1, max_length=MAX_TOOLS)


class AllowedChoice(Strict):
    """`tool_choice` that allows only some of the tools."""

    type: Literal["allowed_tools"]
    allowed_tools: AllowedTools


ToolChoiceParam = (
    Literal["auto", "none", "required"]
    | Annotated[
        Annotated[NamedTool, Tag("<function>")] | Annotated[AllowedChoice, Tag("<allowed_tools>")],
        Discriminator(
            type_tag,
            custom_error_type="unknown_type",
            custom_error_message="the type must be function or allowed_tools",
        ),
    ]
)


class TextFormat(Strict):
    """A free answer."""

    type: Literal["text"]


class JsonObjectFormat(Strict):
    """Any JSON object."""

    type: Literal["json_object"]


class JsonSchema(Strict):
    """A schema with its name. If it is strict, the answer follows all of it; otherwise the request fails."""

    name: FunctionName
    description: str | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    strict: bool | None = None


class JsonSchemaFormat(Strict):
    """JSON that follows a schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchema


ResponseFormat = Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")]


def tools_of(params: Sequence[ToolParam] | None) -> tuple[Tool, ...]:
    """The tools that the model may call."""
    functions = [param.function for param in params or ()]
    return tuple(Tool(one.name, one.description or "", one.parameters, bool(one.strict)) for one in functions)


def choice_of(param: ToolChoiceParam | None) -> ToolChoice:
    """The choice among the tools."""
    if isinstance(param, NamedTool):
        return ToolChoice("named", param.function.name)
    if isinstance(param, AllowedChoice):
        allowed = param.allowed_tools
        return ToolChoice(allowed.mode, allowed=frozenset(tool.function.name for tool in allowed.tools))
    return ToolChoice(param or "auto")


def is_strict(param: ResponseFormat | None) -> bool:
    """Whether the request fails if the grammar cannot enforce all of the format."""
    return isinstance(param, JsonSchemaFormat) and param.json_schema.strict is True


def structure_of(param: ResponseFormat | None) -> dict[str, Any] | None:
    """The format as the engine's `structured_outputs`; None for a free answer."""
    if isinstance(param, JsonSchemaFormat) and param.json_schema.schema_ is not None:
        return {"json": param.json_schema.schema_}
    return None if param is None or isinstance(param, TextFormat) else {"json_object": True}
