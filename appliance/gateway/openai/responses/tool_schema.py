"""The tools of OpenAI's Responses API, and the choice among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Discriminator, Field, StringConstraints, Tag

from appliance.gateway.bodies.strict import OnlyFalse, Strict
from appliance.gateway.bodies.tags import type_tag
from appliance.gateway.bodies.tools import MAX_TOOLS, ONLY_APPLICATION_TOOLS, FunctionName

_HINTS: Mapping[str, str] = {
    "allowed_callers": "only the model calls functions",
    "defer_loading": "all functions are in the prompt",
    "output_schema": "the model sees the output itself",
}


class FunctionTool(Strict):
    """A function of the application that the model may call."""

    HINTS: ClassVar[Mapping[str, str]] = _HINTS

    type: Literal["function"]
    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    # The API's name is a keyword in Python.
    async_: OnlyFalse | None = Field(None, alias="async")


class TextInput(Strict):
    """`format` of a tool whose input is any text."""

    type: Literal["text"]


class GrammarInput(Strict):
    """`format` of a tool whose input follows a grammar. The model reads the grammar; the box does not enforce it."""

    type: Literal["grammar"]
    syntax: Literal["lark", "regex"]
    definition: str


class CustomTool(Strict):
    """A tool of the application whose input is a text."""

    HINTS: ClassVar[Mapping[str, str]] = _HINTS

    type: Literal["custom"]
    name: FunctionName
    description: str | None = None
    format: (
        Annotated[
            Annotated[TextInput, Tag("<text>")] | Annotated[GrammarInput, Tag("<grammar>")],
            Discriminator(
                type_tag, custom_error_type="unknown_type", custom_error_message="the type must be text or grammar"
            ),
        ]
        | None
    ) = None
    async_: OnlyFalse | None = Field(None, alias="async")


class NamespaceTool(Strict):
    """Tools of the application with a common name."""

    type: Literal["namespace"]
    name: FunctionName
    description: str | None = None
    tools: list[
        Annotated[
            Annotated[FunctionTool, Tag("<function>")] | Annotated[CustomTool, Tag("<custom>")],
            Discriminator(
                type_tag, custom_error_type="unknown_type", custom_error_message="the type must be function or custom"
            ),
        ]
    ] = Field(max_length=MAX_TOOLS)


# Applications such as Codex offer these tools in every request, and answers are complete without them.
LEFT_OUT = (
    *("web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11"),
    *("image_generation", "tool_search"),
)


class LeftOutTool(Strict):
    """A tool that the box does not have and leaves out."""

    model_config = ConfigDict(extra="ignore")

    type: Literal[LEFT_OUT]  # type: ignore[valid-type]


def _tag(value: Any) -> str:
    tag = type_tag(value)
    return "<left out>" if tag[1:-1] in LEFT_OUT else tag


ToolParam = Annotated[
    Annotated[FunctionTool, Tag("<function>")]
    | Annotated[CustomTool, Tag("<custom>")]
    | Annotated[NamespaceTool, Tag("<namespace>")]
    | Annotated[LeftOutTool, Tag("<left out>")],
    Discriminator(
        _tag,
        custom_error_type="unknown_type",
        custom_error_message=ONLY_APPLICATION_TOOLS.format(types="function, custom, namespace"),
    ),
]


class NamedChoice(Strict):
    """`tool_choice` that names one tool."""

    type: Literal["function", "custom"]
    name: str


class AllowedEntry(Strict):
    """A tool of `allowed_tools`. Tools without a name are tools that the box does not have."""

    model_config = ConfigDict(extra="ignore")

    type: Annotated[str, StringConstraints(max_length=64)]
    name: str | None = None


class AllowedChoice(Strict):
    """`tool_choice` that allows only some of the tools."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: list[AllowedEntry] = Field(min_length=1, max_length=MAX_TOOLS)


def _choice_tag(value: Any) -> str:
    tag = type_tag(value)
    return "<named>" if tag in {"<function>", "<custom>"} else tag


ChoiceParam = (
    Literal["none", "auto", "required"]
    | Annotated[
        Annotated[NamedChoice, Tag("<named>")] | Annotated[AllowedChoice, Tag("<allowed_tools>")],
        Discriminator(
            _choice_tag,
            custom_error_type="unknown_type",
            custom_error_message="the type must be function, custom or allowed_tools",
        ),
    ]
)
