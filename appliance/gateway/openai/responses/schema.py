"""The supported fields of the request body of OpenAI's Responses API; `parameters` has the rules for others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag

from appliance.gateway.bodies.sampling import MAX_COUNT, SamplingBody
from appliance.gateway.bodies.strict import Many, OnlyFalse, Strict
from appliance.gateway.bodies.tags import type_tag
from appliance.gateway.bodies.text_file import TextFile
from appliance.gateway.bodies.tools import MAX_TOOLS
from appliance.gateway.openai.responses.tool_schema import ChoiceParam, ToolParam

Status = Literal["in_progress", "completed", "incomplete"]
_ResponseId = Annotated[str, StringConstraints(min_length=1, max_length=128)]


def _item_tag(value: Any) -> str:
    # OpenAI allows a message without a type.
    tag = type_tag(value)
    return "<message>" if tag == "<None>" else tag


class InputText(Strict):
    """Text of a message, or of a function's output."""

    HINTS: ClassVar[Mapping[str, str]] = {"prompt_cache_breakpoint": "the prefix cache uses the content of the prompt"}

    type: Literal["input_text"]
    text: str


class InputFile(TextFile):
    """A text file of a message, or of a function's output."""

    HINTS: ClassVar[Mapping[str, str]] = {**InputText.HINTS, "detail": "the model reads the whole text"}

    type: Literal["input_file"]


class OutputText(Strict):
    """Text of an earlier answer. OpenAI's Python client adds `parsed`."""

    HINTS: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("annotations", "logprobs", "parsed"), "describe the text of an earlier answer"
    )

    type: Literal["output_text"]
    text: str


class Refusal(Strict):
    """A refusal in an earlier answer."""

    type: Literal["refusal"]
    refusal: str

    @property
    def text(self) -> str:
        """The text of the turn."""
        return self.refusal


Part = Annotated[
    Annotated[InputText, Tag("<input_text>")]
    | Annotated[InputFile, Tag("<input_file>")]
    | Annotated[OutputText, Tag("<output_text>")]
    | Annotated[Refusal, Tag("<refusal>")],
    Discriminator(
        type_tag,
        custom_error_type="unknown_type",
        custom_error_message="the type must be input_text, input_file, output_text or refusal",
    ),
]
OutputPart = Annotated[
    Annotated[InputText, Tag("<input_text>")] | Annotated[InputFile, Tag("<input_file>")],
    Discriminator(
        type_tag, custom_error_type="unknown_type", custom_error_message="the type must be input_text or input_file"
    ),
]


class MessageItem(Strict):
    """One turn. `id` and `status` come from clients that send our own answers back."""

    type: Literal["message"] | None = None
    role: Literal["system", "developer", "user", "assistant"]
    content: str | Many[Part]
    id: str | None = None
    status: Status | None = None
    phase: Literal["commentary", "final_answer"] | None = None


class _CallItem(Strict):
    """A call that the model made."""

    type: str
    call_id: str
    name: str
    id: str | None = None
    status: Status | None = None
    namespace: str | None = None
    # Clients send this field back as they received it from us: as null.
    caller: None = None
    # The API's name is a keyword in Python.
    async_: OnlyFalse | None = Field(None, alias="async")


class FunctionCallItem(_CallItem):
    """A call of a function. OpenAI's Python client adds `parsed_arguments`."""

    HINTS: ClassVar[Mapping[str, str]] = {"parsed_arguments": "the text of the arguments counts"}

    type: Literal["function_call"]
    arguments: str


class CustomCallItem(_CallItem):
    """A call of a custom tool."""

    type: Literal["custom_tool_call"]
    input: str


class _OutputItem(Strict):
    """The result of a call."""

    type: str
    call_id: str
    output: str | Many[OutputPart]
    id: str | None = None
    status: Status | None = None
    name: str | None = None
    namespace: str | None = None
    caller: None = None


class FunctionOutputItem(_OutputItem):
    """The result of the application's function."""

    type: Literal["function_call_output"]


class CustomOutputItem(_OutputItem):
    """The result of the application's custom tool."""

    type: Literal["custom_tool_call_output"]


class ReasoningText(Strict):
    """Thoughts of an earlier answer."""

    type: Literal["reasoning_text"]
    text: str


class SummaryText(Strict):
    """A summary of thoughts. The box creates none, but clients may send answers of other servers."""

    type: Literal["summary_text"]
    text: str


class ReasoningItem(Strict):
    """The thinking of an earlier answer."""

    HINTS: ClassVar[Mapping[str, str]] = {"encrypted_content": "the box cannot decrypt the thinking of another server"}

    type: Literal["reasoning"]
    summary: Many[SummaryText] = Field(default_factory=list)
    content: Many[ReasoningText] | None = None
    id: str | None = None
    status: Status | None = None


Item = Annotated[
    Annotated[MessageItem, Tag("<message>")]
    | Annotated[FunctionCallItem, Tag("<function_call>")]
    | Annotated[FunctionOutputItem, Tag("<function_call_output>")]
    | Annotated[CustomCallItem, Tag("<custom_tool_call>")]
    | Annotated[CustomOutputItem, Tag("<custom_tool_call_output>")]
    | Annotated[ReasoningItem, Tag("<reasoning>")],
    Discriminator(
        _item_tag,
        custom_error_type="unknown_type",
        custom_error_message="the type must be message, function_call, function_call_output, custom_tool_call,"
        " custom_tool_call_output, reasoning or item_reference",
    ),
]


class ItemReference(Strict):
    """An item of a stored response, or of its input, instead of a copy."""

    type: Literal["item_reference"]
    id: Annotated[str, StringConstraints(min_length=1, max_length=128)]


def _input_tag(value: Any) -> str:
    return "<item_reference>" if type_tag(value) == "<item_reference>" else "<item>"


InputItem = Annotated[
    Annotated[Item, Tag("<item>")] | Annotated[ItemReference, Tag("<item_reference>")], Discriminator(_input_tag)
]


class TextFormat(Strict):
    """`text.format` for free text."""

    type: Literal["text"]


class ObjectFormat(Strict):
    """`text.format` for any JSON object."""

    type: Literal["json_object"]


class SchemaFormat(Strict):
    """`text.format` for a JSON schema."""

    type: Literal["json_schema"]
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    # `schema` is already a method of pydantic's models.
    schema_: dict[str, Any] = Field(alias="schema")
    description: str | None = None
    strict: bool | None = None


Format = Annotated[
    Annotated[TextFormat, Tag("<text>")]
    | Annotated[ObjectFormat, Tag("<json_object>")]
    | Annotated[SchemaFormat, Tag("<json_schema>")],
    Discriminator(
        type_tag,
        custom_error_type="unknown_type",
        custom_error_message="the type must be text, json_object or json_schema",
    ),
]


class TextConfiguration(Strict):
    """`text`."""

    HINTS: ClassVar[Mapping[str, str]] = {"verbosity": "the box cannot control verbosity"}

    format: Format | None = None


class Reasoning(Strict):
    """`reasoning`."""

    HINTS: ClassVar[Mapping[str, str]] = {
        "summary": "the response has the complete thinking",
        "generate_summary": "the response has the complete thinking",
        "context": "the model's chat template decides which thinking stays in the prompt",
        "mode": "the box has only one mode",
    }

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None


class ResponseStreamOptions(Strict):
    """`stream_options`."""

    HINTS: ClassVar[Mapping[str, str]] = {"include_obfuscation": "the box does not pad events"}


class PromptFields(Strict):
    """The fields that determine the prompt; also the body of `/v1/responses/input_tokens`."""

    model: str = Field(description="required; a name from `/v1/models`")
    input: str | Many[InputItem] = Field(
        min_length=1,
        description="required; text, or items: `message`, `function_call`, `function_call_output`, `custom_tool_call`,"
        " `custom_tool_call_output`, `reasoning`, `item_reference`; files only as text",
    )
    instructions: str | None = Field(
        None, description="a system message before the input; the next response does not inherit it"
    )
    previous_response_id: _ResponseId | None = Field(None, description="continues a stored response")
    tools: list[ToolParam] | None = Field(
        None,
        max_length=MAX_TOOLS,
        description="`function`, `custom`, `namespace`; `web_search`, `image_generation` and `tool_search` are ignored,"
        " and other built-in tools and MCP servers are rejected",
    )
    tool_choice: ChoiceParam | None = Field(
        None, description="`none`, `auto`, `required`, one tool, or `allowed_tools`"
    )
    parallel_tool_calls: bool | None = Field(None, description="false: at most one call in each answer")
    text: TextConfiguration | None = Field(None, description="`format`: `text`, `json_object`, `json_schema`")
    reasoning: Reasoning | None = Field(
        None,
        description="`effort`: `none` switches thinking off, other values switch it on; ignored if the model cannot",
    )


class ResponseBody(PromptFields, SamplingBody):
    """Body of `/v1/responses`."""

    max_output_tokens: int | None = Field(
        None, ge=1, le=MAX_COUNT, description="includes thinking; default: the remaining context"
    )
    top_logprobs: int | None = Field(None, ge=0, le=20, description="needs `include`")
    include: list[Literal["message.output_text.logprobs", "reasoning.encrypted_content"]] | None = Field(
        None,
        description="`message.output_text.logprobs`; `reasoning.encrypted_content` has no effect (thinking is text)",
    )
    store: bool | None = Field(None, description="true (default): store the response in memory for a limited time")
    metadata: (
        dict[Annotated[str, StringConstraints(max_length=64)], Annotated[str, StringConstraints(max_length=512)]] | None
    ) = Field(None, max_length=16, description="returned with the response")
    stream: bool | None = Field(None, description="server-sent events")
    stream_options: ResponseStreamOptions | None = Field(None, description="has no effect")


class PageQuery(Strict):
    """Query of `/v1/responses/{id}/input_items`."""

    limit: int = Field(20, ge=1, le=100)
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None
