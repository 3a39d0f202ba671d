"""Converts the messages of Anthropic's API to a `ChatRequest`, which is the same for all protocols and models."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any

from appliance.errors import RequestError
from appliance.gateway.anthropic.schema import (
    AnyChoice,
    AssistantBlock,
    AssistantMessage,
    AutoChoice,
    CountBody,
    Message,
    NoChoice,
    SystemMessage,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from appliance.gateway.anthropic.schema import (
    ToolChoice as ToolChoiceParam,
)
from appliance.gateway.bodies.content import content_text
from appliance.gateway.chat.continuation import is_continuable
from appliance.gateway.chat.request import ChatRequest, ClientNames, Tool, ToolChoice

Turn = dict[str, Any]
_NAMES = ClientNames(response_format="output_config.format", thinking="thinking")


def chat_request(body: CountBody) -> ChatRequest:
    """The conversation that the model should continue.

    Raises:
        RequestError: a tool result belongs to no call, the last message is an assistant's that cannot be continued, or
            a tool choice has no tools.
    """
    choice = body.tool_choice
    if isinstance(choice, AnyChoice | ToolChoiceParam) and not body.tools:
        raise RequestError("tool_choice needs tools", param="tool_choice")
    alone = choice is not None and not isinstance(choice, NoChoice) and choice.disable_parallel_tool_use
    config = body.output_config
    turns = _turns(body)
    continues = isinstance(body.messages[-1], AssistantMessage)
    if continues:
        _check_continuable(turns)
    return ChatRequest(
        messages=turns,
        tools=tuple(
            Tool(tool.name, tool.description or "", tool.input_schema, bool(tool.strict)) for tool in body.tools or ()
        ),
        tool_choice=_tool_choice(body),
        parallel_tool_calls=not alone,
        thinking=None if body.thinking is None else body.thinking.type != "disabled",
        response_format={"json": config.format.schema_} if config and config.format else None,
        continues=continues,
        # Anthropic's formats are always strict.
        format_is_strict=True,
        client_names=_NAMES,
    )


def _check_continuable(turns: Sequence[Turn]) -> None:
    """Check, by Anthropic's rules, that the answer can continue the last turn."""
    if not is_continuable(turns):
        raise RequestError(
            "messages: the last message is an assistant's and does not end with a text that the model can continue",
            hint="end with a user's message or with the result of the tool",
            param="messages",
        )
    if turns[-1]["content"][-1].isspace():
        raise RequestError(
            "messages: the last message is an assistant's, and its text must not end with white space", param="messages"
        )


def _tool_choice(body: CountBody) -> ToolChoice:
    choice = body.tool_choice
    if choice is None or isinstance(choice, AutoChoice):
        return ToolChoice("auto")
    if isinstance(choice, NoChoice):
        return ToolChoice("none")
    return ToolChoice("required") if isinstance(choice, AnyChoice) else ToolChoice("named", choice.name)


def _turns(body: CountBody) -> list[Turn]:
    turns: list[Turn] = []
    if body.system:
        turns.append({"role": "system", "content": content_text(body.system)})
    known: set[str] = set()
    numbered = enumerate(body.messages)
    # Consecutive turns of one role are one turn: Anthropic's rule.
    for _, group in itertools.groupby(numbered, key=lambda pair: pair[1].role):
        messages = list(group)
        if isinstance(messages[0][1], AssistantMessage):
            turn = _assistant_turn([block for _, message in messages for block in _blocks(message)])
            known.update(call["id"] for call in turn.get("tool_calls", ()))
            turns.append(turn)
        else:
            turns += _other_turns(messages, known)
    return turns


def _blocks(message: Message) -> Sequence[Any]:
    if isinstance(message.content, str):
        return [TextBlock(type="text", text=message.content)]
    return message.content


def _assistant_turn(blocks: Sequence[AssistantBlock]) -> Turn:
    turn: Turn = {"role": "assistant", "content": "\n".join(one.text for one in blocks if isinstance(one, TextBlock))}
    if thoughts := [one.thinking for one in blocks if isinstance(one, ThinkingBlock)]:
        turn["reasoning_content"] = "\n".join(thoughts)
    if calls := [_call(one) for one in blocks if isinstance(one, ToolUseBlock)]:
        turn["tool_calls"] = calls
    return turn


def _other_turns(messages: Sequence[tuple[int, Message]], known: set[str]) -> Iterator[Turn]:
    """The turns of a user or of the system: one turn for each result; consecutive texts become one turn."""
    role = "system" if isinstance(messages[0][1], SystemMessage) else "user"
    texts: list[str] = []
    for position, message in messages:
        for number, block in enumerate(_blocks(message)):
            if not isinstance(block, ToolResultBlock):
                texts.append(block.text)
                continue
            if texts:
                yield {"role": role, "content": "\n".join(texts)}
                texts = []
            yield _result(block, known, f"messages[{position}].content[{number}].tool_use_id")
    if texts:
        yield {"role": role, "content": "\n".join(texts)}


def _result(block: ToolResultBlock, known: set[str], where: str) -> Turn:
    if block.tool_use_id not in known:
        raise RequestError(f"{where}: no earlier tool_use block has this id", param=where)
    text = content_text(block.content)
    # Templates have no field for a failed call, but the model needs to see the failure.
    return {"role": "tool", "tool_call_id": block.tool_use_id, "content": f"Error: {text}" if block.is_error else text}


def _call(block: ToolUseBlock) -> dict[str, Any]:
    # With the separators that models write, so that a turn that the client sends back equals the original turn.
    arguments = json.dumps(block.input, ensure_ascii=False)
    return {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": arguments}}
