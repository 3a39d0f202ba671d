"""Recognises an answer that is, as a whole, calls of offered tools without the marks of the model's own format.

Small models often write `{"name": …, "arguments": {…}}` plainly, in a code fence or between `<tools>` tags. Such an
answer can be recognised only at its end: text around a call makes the whole answer text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from appliance.gateway.chat.json_object import JsonObject
from appliance.gateway.chat.marks import CALL_OPEN
from appliance.gateway.chat.request import Tool
from appliance.gateway.chat.unmarked_call import ARGUMENTS, UnmarkedCall, without_layout
from appliance.json_schema import is_kept

_FENCE = "```"
# Languages of fences in which models write calls. A fence of Python code, for example, shows code.
_OPEN_FENCE = re.compile(r"```(?:json|xml|)[ \t]{0,16}\r?\n")
_TAGS: Mapping[str, str] = {f"<{name}>": f"</{name}>" for name in ("tools", "tool_call")}
_SPACE = re.compile(r"\s+")
_MAX_HEAD = 512


class UnmarkedCalls:
    """Holds the text of one answer back while the answer can still be calls as a whole.

    The whole text is one or several calls: JSON objects one after another, or lists of them, in fences or tags. Each
    call has exactly a name and arguments. The result does not depend on how the answer is cut into pieces.
    """

    def __init__(self, tools: Iterable[Tool], *, several: bool, contents: Sequence[str]) -> None:
        """Begin an answer.

        Args:
            tools: the tools that may be called.
            several: whether the answer may contain several calls.
            contents: texts from users and tools. A call that one of them contains is no call: the model repeats it.
        """
        self._tools = {tool.name: tool for tool in tools}
        self._several = several
        self._contents = contents
        self._heads = (
            *(f'{{"name":{json.dumps(name)}' for name in self._tools),
            *(f'{{"{key}":{{' for key in ARGUMENTS),
        )
        self._held: list[str] = []
        # The text that the current state has not read yet.
        self._buffer = ""
        self._is_text = False
        self._state: Callable[[], bool] = self._between
        self._starts: Mapping[str, Callable[[], bool]] = {
            "`": self._at_fence,
            "<": self._at_tag,
            "[": self._at_list,
            "]": lambda: self._close("]"),
            ",": self._at_comma,
            "{": self._at_object,
        }
        self._closers: list[str] = []
        # Whether the innermost fence, tag or list has a call before this place; in a list, also no comma since.
        self._is_after_call = False
        self._object = JsonObject()
        self._scanned: list[str] = []
        self._calls: list[UnmarkedCall] = []

    def feed(self, text: str) -> str:
        """Return the text that is certainly text of the answer."""
        if self._is_text:
            return text
        self._held.append(text)
        self._buffer += text
        while self._state():
            pass
        return self._release() if self._is_text else ""

    def end(self, *, is_cut: bool) -> tuple[Sequence[UnmarkedCall], str]:
        """Return the calls, or the text that was held back. `is_cut`: the model would have continued."""
        if self._is_text:
            return (), ""
        is_whole = self._state == self._between and not self._buffer.strip() and not self._closers
        if not is_cut and is_whole and self._are_allowed():
            return self._calls, ""
        return (), self._release()

    def _release(self) -> str:
        self._is_text = True
        held = "".join(self._held)
        self._held, self._buffer, self._scanned = [], "", []
        return held

    def _no_call(self) -> bool:
        self._is_text = True
        return False

    def _between(self) -> bool:
        """Outside of a call. A state returns whether the next state can continue with the buffer."""
        self._buffer = self._buffer.lstrip()
        if not self._buffer:
            return False
        return self._starts.get(self._buffer[0], self._no_call)()

    def _at_fence(self) -> bool:
        if self._closers:
            return self._close(_FENCE)
        fence = _OPEN_FENCE.match(self._buffer)
        if fence:
            return self._open(fence.end(), _FENCE)
        # A language and the line's end can follow.
        return False if "\n" not in self._buffer and len(self._buffer) < _MAX_HEAD else self._no_call()

    def _at_tag(self) -> bool:
        if self._closers and self._closers[-1] in _TAGS.values():
            return self._close(self._closers[-1])
        begins_marked = not self._closers and not self._calls and self._buffer.startswith(CALL_OPEN)
        if begins_marked or "]" in self._closers:
            # The parser of the model's own format reads marked calls, and streams their arguments.
            return self._no_call()
        for tag, close in _TAGS.items():
            if self._buffer.startswith(tag):
                return self._open(len(tag), close)
        return False if any(tag.startswith(self._buffer) for tag in _TAGS) else self._no_call()

    def _at_list(self) -> bool:
        if self._closers[-1:] == ["]"]:
            return self._no_call()
        return self._open(1, "]")

    def _at_comma(self) -> bool:
        if self._closers[-1:] != ["]"] or not self._is_after_call:
            return self._no_call()
        self._is_after_call = False
        self._buffer = self._buffer[1:]
        return True

    def _at_object(self) -> bool:
        if self._closers[-1:] == ["]"] and self._is_after_call:
            return self._no_call()
        self._object, self._scanned = JsonObject(), []
        self._state = self._in_head
        return True

    def _open(self, length: int, closer: str) -> bool:
        self._closers.append(closer)
        self._is_after_call = False
        self._buffer = self._buffer[length:]
        return True

    def _close(self, closer: str) -> bool:
        """Read the end of a fence, tag or list; an empty one is no call."""
        if self._closers[-1:] != [closer] or not self._is_after_call:
            return self._no_call()
        if not self._buffer.startswith(closer):
            return False if closer.startswith(self._buffer) else self._no_call()
        self._closers.pop()
        self._buffer = self._buffer[len(closer) :]
        return True

    def _in_head(self) -> bool:
        """At the beginning of an object: most objects that are no calls differ here already."""
        head = _SPACE.sub("", self._buffer[:_MAX_HEAD])
        if any(head.startswith(each) for each in self._heads):
            self._state = self._in_object
            return True
        can_begin = len(self._buffer) < _MAX_HEAD and any(each.startswith(head) for each in self._heads)
        return False if can_begin else self._no_call()

    def _in_object(self) -> bool:
        length = self._object.scan(self._buffer)
        self._scanned.append(self._buffer[:length])
        self._buffer = self._buffer[length:]
        if self._object.is_broken:
            return self._no_call()
        if not self._object.is_whole:
            return False
        call = UnmarkedCall.from_text("".join(self._scanned))
        if call is None or call.name not in self._tools:
            return self._no_call()
        self._calls.append(call)
        self._is_after_call = True
        self._state = self._between
        return True

    def _are_allowed(self) -> bool:
        """Whether the request's settings allow the calls, and the model did not copy them."""
        if not self._calls or (len(self._calls) > 1 and not self._several):
            return False
        for call in self._calls:
            tool = self._tools[call.name]
            # No grammar enforced the schema of a strict tool here.
            if tool.strict and not is_kept(tool.schema, json.loads(call.arguments)):
                return False
        contents = [without_layout(content) for content in self._contents]
        return not any(call.is_in(contents) for call in self._calls)
