"""Converts items of OpenAI's Responses API to turns for chat templates, and the input to listed items."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from appliance.errors import RequestError
from appliance.gateway.bodies.content import content_text
from appliance.gateway.openai.responses.offered import arguments_of_text, name_for_model
from appliance.gateway.openai.responses.schema import (
    CustomCallItem,
    CustomOutputItem,
    FunctionCallItem,
    FunctionOutputItem,
    Item,
    MessageItem,
    ReasoningItem,
)

Turn = dict[str, Any]
_OfAssistant = MessageItem | FunctionCallItem | CustomCallItem | ReasoningItem
_PREFIXES = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "reasoning": "rs",
}


def items_of(value: str | Sequence[Item]) -> list[dict[str, Any]]:
    """The input as JSON items, each with an id, as `input_items` lists them."""
    if isinstance(value, str):
        content = [{"type": "input_text", "text": value}]
        return [{"id": new_id("msg"), "type": "message", "role": "user", "status": "completed", "content": content}]
    return [_listed(item) for item in value]


def turns_of(value: str | Sequence[Item], earlier: Sequence[Turn] = ()) -> list[Turn]:
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
        if isinstance(item, FunctionOutputItem | CustomOutputItem):
            if item.call_id not in known:
                where = f"input[{position}].call_id"
                raise RequestError(f"{where}: no earlier call has this id", param=where)
            turns.append({"role": "tool", "tool_call_id": item.call_id, "content": content_text(item.output)})
            current = None
        elif isinstance(item, MessageItem) and item.role != "assistant":
            turns.append({"role": "user" if item.role == "user" else "system", "content": content_text(item.content)})
            current = None
        else:
            if current is None or not _continues(current, item):
                current = {"role": "assistant", "content": ""}
                turns.append(current)
            _add(current, item)
            if isinstance(item, FunctionCallItem | CustomCallItem):
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
            is_custom = item["type"] == "custom_tool_call"
            arguments = arguments_of_text(item["input"]) if is_custom else item["arguments"]
            name = name_for_model(item.get("namespace"), item["name"])
            turn.setdefault("tool_calls", []).append(_call(item["call_id"], name, arguments))
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


def _continues(turn: Turn, item: _OfAssistant) -> bool:
    """Whether the item belongs to the turn: thoughts, then text, then calls."""
    if isinstance(item, FunctionCallItem | CustomCallItem):
        return True
    if isinstance(item, MessageItem):
        return not turn["content"] and "tool_calls" not in turn
    return False


def _add(turn: Turn, item: _OfAssistant) -> None:
    if isinstance(item, FunctionCallItem | CustomCallItem):
        arguments = arguments_of_text(item.input) if isinstance(item, CustomCallItem) else item.arguments
        call = _call(item.call_id, name_for_model(item.namespace, item.name), arguments)
        turn.setdefault("tool_calls", []).append(call)
    elif isinstance(item, MessageItem):
        turn["content"] = content_text(item.content)
    else:
        thoughts = item.content if item.content is not None else item.summary
        turn["reasoning_content"] = "".join(part.text for part in thoughts)


def _call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _listed(item: Item) -> dict[str, Any]:
    fields: dict[str, Any] = item.model_dump(by_alias=True, exclude_none=True)
    if isinstance(item, MessageItem):
        fields["type"] = "message"
        if isinstance(item.content, str):
            kind = "output_text" if item.role == "assistant" else "input_text"
            fields["content"] = [{"type": kind, "text": item.content}]
    return {"id": new_id(_PREFIXES[fields["type"]]), "status": "completed", **fields}
