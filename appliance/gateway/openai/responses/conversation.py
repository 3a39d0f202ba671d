"""Converts items of OpenAI's Responses API to turns for chat templates, and the input to listed items."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from appliance.errors import RequestError
from appliance.gateway.openai.responses.schema import (
    FunctionCallItem,
    FunctionOutputItem,
    InputItem,
    InputText,
    MessageItem,
    OutputText,
    Part,
    ReasoningItem,
)

Turn = dict[str, Any]


def items_of(value: str | Sequence[InputItem]) -> list[dict[str, Any]]:
    """The input as JSON items, each with an id, as `input_items` lists them."""
    if isinstance(value, str):
        content = [{"type": "input_text", "text": value}]
        return [{"id": new_id("msg"), "type": "message", "role": "user", "status": "completed", "content": content}]
    return [_listed(item) for item in value]


def turns_of(value: str | Sequence[InputItem], earlier: Sequence[Turn] = ()) -> list[Turn]:
    """The conversation: the `earlier` turns, unchanged, and the input's turns.

    Raises:
        RequestError: a function output belongs to no call.
    """
    if isinstance(value, str):
        return [*earlier, {"role": "user", "content": value}]
    turns = [*earlier]
    known = {call["id"] for turn in earlier for call in turn.get("tool_calls", ())}
    # The assistant's turn, made of consecutive thoughts, texts and calls.
    current: Turn | None = None
    for position, item in enumerate(value):
        if isinstance(item, FunctionOutputItem):
            if item.call_id not in known:
                where = f"input[{position}].call_id"
                raise RequestError(f"{where}: no earlier function call has this id", param=where)
            turns.append({"role": "tool", "tool_call_id": item.call_id, "content": _text(item.output)})
            current = None
        elif isinstance(item, MessageItem) and item.role != "assistant":
            turns.append({"role": "user" if item.role == "user" else "system", "content": _text(item.content)})
            current = None
        else:
            if current is None or not _continues(current, item):
                current = {"role": "assistant", "content": ""}
                turns.append(current)
            _add(current, item)
            if isinstance(item, FunctionCallItem):
                known.add(item.call_id)
    return turns


def turns_of_output(output: Sequence[dict[str, Any]]) -> list[Turn]:
    """The assistant's turn, made of the items of an answer."""
    turn: Turn = {"role": "assistant", "content": ""}
    for item in output:
        if item["type"] == "reasoning":
            turn["reasoning_content"] = "".join(part["text"] for part in item["content"])
        elif item["type"] == "message":
            turn["content"] += "".join(part["text"] for part in item["content"])
        else:
            turn.setdefault("tool_calls", []).append(_call(item["call_id"], item["name"], item["arguments"]))
    return [turn]


def with_output(turns: Sequence[Turn], output: Sequence[dict[str, Any]], *, continues: bool) -> list[Turn]:
    """The conversation with an answer; if `continues`, the answer is appended to the last turn."""
    (turn,) = turns_of_output(output)
    if not continues:
        return [*turns, turn]
    *before, last = turns
    return [*before, {**last, **turn, "content": last["content"] + turn["content"]}]


def new_id(prefix: str) -> str:
    """A new id of an item."""
    return f"{prefix}_{uuid.uuid4().hex}"


def _continues(turn: Turn, item: MessageItem | FunctionCallItem | ReasoningItem) -> bool:
    """Whether the item belongs to the turn: thoughts, then text, then calls."""
    if isinstance(item, FunctionCallItem):
        return True
    if isinstance(item, MessageItem):
        return not turn["content"] and "tool_calls" not in turn
    return False


def _add(turn: Turn, item: MessageItem | FunctionCallItem | ReasoningItem) -> None:
    if isinstance(item, FunctionCallItem):
        turn.setdefault("tool_calls", []).append(_call(item.call_id, item.name, item.arguments))
    elif isinstance(item, MessageItem):
        turn["content"] = _text(item.content)
    else:
        thoughts = item.content if item.content is not None else item.summary
        turn["reasoning_content"] = "".join(part.text for part in thoughts)


def _call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _text(content: str | Sequence[Part] | Sequence[InputText]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part.text if isinstance(part, InputText | OutputText) else part.refusal for part in content)


def _listed(item: InputItem) -> dict[str, Any]:
    fields: dict[str, Any] = item.model_dump(by_alias=True, exclude_none=True)
    if isinstance(item, MessageItem):
        fields["type"] = "message"
        if isinstance(item.content, str):
            kind = "output_text" if item.role == "assistant" else "input_text"
            fields["content"] = [{"type": kind, "text": item.content}]
    prefix = {"message": "msg", "function_call": "fc", "function_call_output": "fco", "reasoning": "rs"}
    return {"id": new_id(prefix[fields["type"]]), "status": "completed", **fields}
