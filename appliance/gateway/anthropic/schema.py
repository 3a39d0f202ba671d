"""The supported fields of request bodies of Anthropic's Messages API; `parameters` has the rules for others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag

from appliance.gateway.bodies.content import content_text
from appliance.gateway.bodies.document import document_text
from appliance.gateway.bodies.sampling import MAX_COUNT, Int64, StopString
from appliance.gateway.bodies.strict import Many, Strict
from appliance.gateway.bodies.tags import type_tag
from appliance.gateway.bodies.tools import MAX_TOOLS, only_tools_of_type

_CACHE = "the prefix cache uses the content of the prompt"
_COMPLETE = "the answer has the complete thinking"


class Block(Strict):
    """A content block."""

    HINTS: ClassVar[Mapping[str, str]] = {"cache_control": _CACHE}


class TextBlock(Block):
    """Text."""

    HINTS: ClassVar[Mapping[str, str]] = {**Block.HINTS, "citations": "describe the text of an earlier answer"}

    type: Literal["text"]
    text: str


class TextSource(Strict):
    """The text of a document."""

    type: Literal["text"]
    data: str
    media_type: Literal["text/plain"] = "text/plain"

    @property
    def text(self) -> str:
        """The text."""
        return self.data


class ContentSource(Strict):
    """The text of a document, as blocks."""

    type: Literal["content"]
    content: str | Many[TextBlock]

    @property
    def text(self) -> str:
        """The text."""
        return content_text(self.content)


class DocumentBlock(Block):
    """A document as text. The model does not cite documents."""

    HINTS: ClassVar[Mapping[str, str]] = {**Block.HINTS, "citations": "the model does not cite documents"}

    type: Literal["document"]
    source: Annotated[
        Annotated[TextSource, Tag("<text>")] | Annotated[ContentSource, Tag("<content>")],
        Discriminator(
            type_tag,
            custom_error_type="unknown_type",
            custom_error_message="the type must be text or content; documents must be text",
        ),
    ]
    title: str | None = None
    context: str | None = None

    @property
    def text(self) -> str:
        """The document for the prompt."""
        return document_text(self.source.text, title=self.title, context=self.context)


class SearchResultBlock(Block):
    """A result of the application's search. The model does not cite results."""

    HINTS: ClassVar[Mapping[str, str]] = DocumentBlock.HINTS

    type: Literal["search_result"]
    source: str
    title: str
    content: Many[TextBlock]

    @property
    def text(self) -> str:
        """The result for the prompt."""
        return document_text(content_text(self.content), title=self.title, source=self.source)


Readable = Annotated[
    Annotated[TextBlock, Tag("<text>")]
    | Annotated[DocumentBlock, Tag("<document>")]
    | Annotated[SearchResultBlock, Tag("<search_result>")],
    Discriminator(
        type_tag,
        custom_error_type="unknown_type",
        custom_error_message="the type must be text, document or search_result",
    ),
]


class ThinkingBlock(Strict):
    """The thinking of an earlier answer. The signature is not checked, because the box signs no thinking."""

    type: Literal["thinking"]
    thinking: str
    signature: str = ""


class ToolUseBlock(Block):
    """A call that the model made."""

    type: Literal["tool_use"]
    id: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    name: str
    input: dict[str, Any]
    # Clients send these fields back as they received them from us: as null.
    caller: None = None
    toolset_name: None = None


class ToolResultBlock(Block):
    """The result of the application's tool."""

    type: Literal["tool_result"]
    tool_use_id: str
    content: str | Many[Readable] | None = None
    is_error: bool | None = None
    toolset_name: None = None


UserBlock = Annotated[
    Annotated[TextBlock, Tag("<text>")]
    | Annotated[DocumentBlock, Tag("<document>")]
    | Annotated[SearchResultBlock, Tag("<search_result>")]
    | Annotated[ToolResultBlock, Tag("<tool_result>")],
    Discriminator(
        type_tag,
        custom_error_type="unknown_type",
        custom_error_message="the type must be text, document, search_result or tool_result",
    ),
]
AssistantBlock = Annotated[
    Annotated[TextBlock, Tag("<text>")]
    | Annotated[ThinkingBlock, Tag("<thinking>")]
    | Annotated[ToolUseBlock, Tag("<tool_use>")],
    Discriminator(
        type_tag, custom_error_type="unknown_type", custom_error_message="the type must be text, thinking or tool_use"
    ),
]


class UserMessage(Strict):
    """The application's turn."""

    role: Literal["user"]
    content: str | Many[UserBlock]


class AssistantMessage(Strict):
    """The model's turn."""

    role: Literal["assistant"]
    content: str | Many[AssistantBlock]


class SystemMessage(Strict):
    """Instructions in the middle of a conversation."""

    role: Literal["system"]
    content: str | Many[TextBlock]


def _role_tag(value: Any) -> str:
    role = value.get("role") if isinstance(value, dict) else getattr(value, "role", None)
    return f"<{role}>"


Message = Annotated[
    Annotated[UserMessage, Tag("<user>")]
    | Annotated[AssistantMessage, Tag("<assistant>")]
    | Annotated[SystemMessage, Tag("<system>")],
    Discriminator(
        _role_tag, custom_error_type="unknown_role", custom_error_message="the role must be user, assistant or system"
    ),
]


class Tool(Strict):
    """A tool of the application that the model may call."""

    HINTS: ClassVar[Mapping[str, str]] = {
        "cache_control": _CACHE,
        "allowed_callers": "only the model calls tools",
        "defer_loading": "all tools are in the prompt",
        "eager_input_streaming": "arguments are always streamed as the model writes them",
        "input_examples": "chat templates have no place for examples",
    }

    type: Literal["custom"] | None = None
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
    description: str | None = None
    input_schema: dict[str, Any]
    strict: bool | None = None


class AutoChoice(Strict):
    """The model decides."""

    type: Literal["auto"]
    disable_parallel_tool_use: bool | None = None


class AnyChoice(Strict):
    """The model calls at least one tool."""

    type: Literal["any"]
    disable_parallel_tool_use: bool | None = None


class ToolChoice(Strict):
    """The model calls this tool."""

    type: Literal["tool"]
    name: str
    disable_parallel_tool_use: bool | None = None


class NoChoice(Strict):
    """The model calls nothing."""

    type: Literal["none"]


Choice = Annotated[
    Annotated[AutoChoice, Tag("<auto>")]
    | Annotated[AnyChoice, Tag("<any>")]
    | Annotated[ToolChoice, Tag("<tool>")]
    | Annotated[NoChoice, Tag("<none>")],
    Discriminator(
        type_tag, custom_error_type="unknown_type", custom_error_message="the type must be auto, any, tool or none"
    ),
]


class ThinkingOn(Strict):
    """Thinking. As in Anthropic's API, the budget is only a target; only `max_tokens` is a limit."""

    HINTS: ClassVar[Mapping[str, str]] = {"budget_tokens": "`max_tokens` includes thinking", "display": _COMPLETE}

    type: Literal["enabled"]


class ThinkingAdaptive(Strict):
    """The model decides how much it thinks."""

    HINTS: ClassVar[Mapping[str, str]] = {"display": _COMPLETE}

    type: Literal["adaptive"]


class ThinkingOff(Strict):
    """No thinking."""

    type: Literal["disabled"]


Thinking = Annotated[
    Annotated[ThinkingOn, Tag("<enabled>")]
    | Annotated[ThinkingAdaptive, Tag("<adaptive>")]
    | Annotated[ThinkingOff, Tag("<disabled>")],
    Discriminator(
        type_tag,
        custom_error_type="unknown_type",
        custom_error_message="the type must be enabled, adaptive or disabled",
    ),
]


class OutputFormat(Strict):
    """A JSON schema that the answer follows."""

    type: Literal["json_schema"]
    # `schema` is already a method of pydantic's models.
    schema_: dict[str, Any] = Field(alias="schema")


class OutputConfiguration(Strict):
    """`output_config`."""

    HINTS: ClassVar[Mapping[str, str]] = {"effort": "the box cannot control effort"}

    format: OutputFormat | None = None


class CountBody(Strict):
    """Body of `/v1/messages/count_tokens`: the fields that determine the prompt."""

    model: str = Field(description="required; a name from `/v1/models`")
    messages: Many[Message] = Field(
        min_length=1,
        description="required; `text`, `document` and `search_result` with text, `tool_use`, `tool_result`, `thinking`;"
        " a last assistant text is continued",
    )
    system: str | Many[TextBlock] | None = Field(None, description="text, or text blocks")
    tools: list[Annotated[Tool, only_tools_of_type("custom")]] | None = Field(
        None, max_length=MAX_TOOLS, description="tools of the application; Anthropic's own tools are rejected"
    )
    tool_choice: Choice | None = Field(None, description="`auto`, `any`, `tool`, `none`; `disable_parallel_tool_use`")
    thinking: Thinking | None = Field(
        None,
        description="`enabled`, `adaptive`, `disabled`; ignored if the model cannot think",
    )
    output_config: OutputConfiguration | None = Field(None, description="`format`: a JSON schema")


class MessagesBody(CountBody):
    """Body of `/v1/messages`."""

    max_tokens: int = Field(
        ge=1, le=MAX_COUNT, description="required; reduced to the remaining context; the stop reason shows this"
    )
    stop_sequences: list[StopString] | None = Field(None, max_length=16, description="the answer does not contain it")
    temperature: float | None = Field(None, ge=0, le=1, description="0 is greedy; default: the publisher's value")
    top_p: float | None = Field(None, gt=0, le=1, description="default: the publisher's value")
    top_k: int | None = Field(None, ge=0, le=MAX_COUNT, description="0: off; default: the publisher's value")
    stream: bool | None = Field(None, description="server-sent events")
    seed: Int64 | None = Field(
        None, description="as in OpenAI's API; the same seed gives the same answer, alone or in a batch"
    )
    min_tokens: int | None = Field(
        None, ge=0, le=MAX_COUNT, description="as in vLLM; minimum tokens before an end token"
    )
    ignore_eos: bool | None = Field(None, description="as in vLLM; true: continue after the model's end token")
