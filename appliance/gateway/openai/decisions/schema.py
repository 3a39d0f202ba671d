"""The request body of OpenAI's Decisions API."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from appliance.gateway.bodies.content import content_text
from appliance.gateway.bodies.strict import Many, Strict
from appliance.gateway.bodies.tags import type_tag
from appliance.gateway.http.json_text import encode
from appliance.gateway.openai.responses.schema import (
    CustomCallItem,
    CustomOutputItem,
    FunctionCallItem,
    FunctionOutputItem,
    InputText,
    OutputText,
    Refusal,
)
from appliance.gateway.openai.schema import MAX_ANSWERS

MAX_CHOICES = 255
MAX_LEVELS = 10


class JsonPart(Strict):
    """A JSON object, or several, whose text is a part of a content."""

    HINTS: ClassVar = InputText.HINTS

    type: Literal["input_json"]
    data: dict[str, Any] | list[dict[str, Any]]

    @property
    def text(self) -> str:
        """The part's text for the prompt."""
        return encode(self.data)


Part = Annotated[
    Annotated[InputText, Tag("<input_text>")]
    | Annotated[JsonPart, Tag("<input_json>")]
    | Annotated[OutputText, Tag("<output_text>")]
    | Annotated[Refusal, Tag("<refusal>")],
    Discriminator(
        type_tag,
        custom_error_type="unknown_type",
        custom_error_message="the type must be input_text, input_json, output_text or refusal",
    ),
]
Content = str | Many[Part]


def _item_tag(value: Any) -> str:
    # OpenAI allows a message without a type.
    tag = type_tag(value)
    return "<message>" if tag == "<None>" else tag


class MessageItem(Strict):
    """One message of the input."""

    type: Literal["message"] | None = None
    role: Literal["system", "developer", "user", "assistant"]
    content: Content
    phase: Literal["commentary", "final_answer"] | None = None


Item = Annotated[
    Annotated[MessageItem, Tag("<message>")]
    | Annotated[FunctionCallItem, Tag("<function_call>")]
    | Annotated[FunctionOutputItem, Tag("<function_call_output>")]
    | Annotated[CustomCallItem, Tag("<custom_tool_call>")]
    | Annotated[CustomOutputItem, Tag("<custom_tool_call_output>")],
    Discriminator(
        _item_tag,
        custom_error_type="unknown_type",
        custom_error_message="the type must be message, function_call, function_call_output, custom_tool_call or"
        " custom_tool_call_output",
    ),
]


class _Question(Strict):
    """What all questions have."""

    instructions: Content
    name: str | None = None

    @property
    def asked(self) -> str:
        """The text of the instructions."""
        return content_text(self.instructions)


class Predicate(_Question):
    """Whether a statement about the input is true."""

    type: Literal["predicate"]


def _text_or_boolean(value: Any) -> Any:
    if not isinstance(value, str | bool):
        raise ValueError("must be a text, true or false")  # noqa: TRY004  what pydantic takes for a refusal
    return value


class ChoiceOption(Strict):
    """One option of a choice."""

    value: Annotated[str | bool, BeforeValidator(_text_or_boolean)]
    description: str | None = None


class Choice(_Question):
    """Which of some options fits the input."""

    type: Literal["choice"]
    choices: Many[ChoiceOption] = Field(min_length=2, max_length=MAX_CHOICES)


class Level(Strict):
    """One level of a scale."""

    label: str
    description: str | None = None


class Score(_Question):
    """Which level of a scale fits the input; the lowest is the first."""

    type: Literal["score"]
    levels: Many[Level] = Field(min_length=2, max_length=MAX_LEVELS)


Question = Annotated[
    Annotated[Predicate, Tag("<predicate>")] | Annotated[Choice, Tag("<choice>")] | Annotated[Score, Tag("<score>")],
    Discriminator(
        type_tag,
        custom_error_type="unknown_type",
        custom_error_message="the type must be predicate, choice or score",
    ),
]


class DecisionBody(Strict):
    """Body of `/v1/decisions`."""

    model: str = Field(description="required; a model of `/v1/models` that generates text, with a chat template")
    input: str | Many[Item] = Field(description="required; the text or the conversation that the questions are about")
    questions: Many[Question] = Field(
        min_length=1, max_length=MAX_ANSWERS, description=f"required; 1 to {MAX_ANSWERS} questions"
    )
