"""Builds the output items of a response, and an event for each change. It is independent of the transport."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from appliance.gateway.chat.parts import Part, Reasoning, Text, ToolArguments, ToolCall
from appliance.gateway.openai.responses.conversation import new_id
from appliance.gateway.openai.responses.offered import OfferedTool, text_of_arguments

Emit = Callable[..., None]


@dataclass
class _Open:
    """The item that is being written: its position, its JSON so far, its text so far."""

    position: int
    item: dict[str, Any]
    text: list[str] = field(default_factory=list)
    logprobs: list[Any] = field(default_factory=list)

    @property
    def place(self) -> dict[str, Any]:
        """The fields by which events refer to the item."""
        return {"item_id": self.item["id"], "output_index": self.position}


class ResponseItems:
    """Turns parts of an answer into items; `emit(type, **fields)` receives the events in order.

    The names of calls are those of the offered tools.
    Only one item is open at a time: a part of another kind closes the open item.
    """

    def __init__(self, emit: Emit, offered: Sequence[OfferedTool]) -> None:
        self.done: list[dict[str, Any]] = []
        self._emit = emit
        self._offered = {each.tool.name: each for each in offered}
        self._open: _Open | None = None

    def add(self, parts: Iterable[Part], logprobs: list[Any]) -> None:
        """Add the next parts; `logprobs` are the log-probabilities of their tokens, in JSON."""
        for part in parts:
            if isinstance(part, Text):
                self._text(part.text, logprobs)
                logprobs = []
            elif isinstance(part, Reasoning):
                self._reasoning(part.text)
            elif isinstance(part, ToolCall):
                self._call(part)
            elif isinstance(part, ToolArguments) and self._open is not None:
                self._open.text.append(part.text)
                # The text of a custom tool is inside of the arguments: it is sent when they are complete.
                if self._open.item["type"] == "function_call":
                    self._emit("response.function_call_arguments.delta", **self._open.place, delta=part.text)
        if logprobs and self._open is not None and self._open.item["type"] == "message":
            # The log-probabilities of tokens whose characters are held back are included.
            self._open.logprobs += logprobs

    def close(self, *, cut: bool = False) -> None:
        """Close the open item, if there is one; `cut`: the answer ended inside it."""
        if self._open is None:
            return
        opened, self._open = self._open, None
        text = "".join(opened.text)
        item = {**opened.item, "status": "incomplete" if cut else "completed"}
        place = opened.place
        if item["type"] == "function_call":
            item["arguments"] = text
            self._emit("response.function_call_arguments.done", **place, arguments=text, name=item["name"])
        elif item["type"] == "custom_tool_call":
            item["input"] = text_of_arguments(text)
            self._emit("response.custom_tool_call_input.delta", **place, delta=item["input"])
            self._emit("response.custom_tool_call_input.done", **place, input=item["input"])
        elif item["type"] == "message":
            part = _output_text(text, opened.logprobs)
            item["content"] = [part]
            self._emit("response.output_text.done", **place, content_index=0, text=text, logprobs=opened.logprobs)
            self._emit("response.content_part.done", **place, content_index=0, part=part)
        else:
            thought = {"type": "reasoning_text", "text": text}
            item["content"] = [thought]
            self._emit("response.reasoning_text.done", **place, content_index=0, text=text)
            self._emit("response.content_part.done", **place, content_index=0, part=thought)
        self.done.append(item)
        self._emit("response.output_item.done", output_index=opened.position, item=item)

    def _text(self, text: str, logprobs: list[Any]) -> None:
        opened = self._at("message", {"id": "msg", "role": "assistant", "content": []}, _output_text("", []))
        opened.text.append(text)
        opened.logprobs += logprobs
        self._emit("response.output_text.delta", **opened.place, content_index=0, delta=text, logprobs=logprobs)

    def _reasoning(self, text: str) -> None:
        empty = {"type": "reasoning_text", "text": ""}
        opened = self._at("reasoning", {"id": "rs", "summary": [], "content": []}, empty)
        opened.text.append(text)
        self._emit("response.reasoning_text.delta", **opened.place, content_index=0, delta=text)

    def _call(self, call: ToolCall) -> None:
        self.close()
        offered = self._offered[call.name]
        fields = {"call_id": call.call_id, "name": offered.name}
        if offered.namespace is not None:
            fields["namespace"] = offered.namespace
        if offered.is_custom:
            self._begin("custom_tool_call", {"id": "ctc", **fields, "input": ""})
        else:
            self._begin("function_call", {"id": "fc", **fields, "arguments": ""})

    def _at(self, kind: str, fields: dict[str, Any], part: dict[str, Any]) -> _Open:
        """The open item if it is of this kind, else a new item with one part."""
        if self._open is not None and self._open.item["type"] == kind:
            return self._open
        self.close()
        opened = self._begin(kind, fields)
        self._emit("response.content_part.added", **opened.place, content_index=0, part=part)
        return opened

    def _begin(self, kind: str, fields: dict[str, Any]) -> _Open:
        item = {**fields, "type": kind, "id": new_id(fields["id"]), "status": "in_progress"}
        opened = self._open = _Open(len(self.done), item)
        self._emit("response.output_item.added", output_index=opened.position, item=item)
        return opened


def _output_text(text: str, logprobs: list[Any]) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}
