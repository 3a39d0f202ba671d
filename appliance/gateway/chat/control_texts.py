"""Finds the texts that a model's tokenizer reads as control tokens. It encodes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tokenizers

from appliance.chat_template.json_text import JsonText
from appliance.gateway.chat import template_texts
from appliance.gateway.chat.template_texts import Change

# Private use, planes 15 and 16: no letters, no spaces; filters such as `upper` and normal forms do not change them.
_SIGNS = (range(0xF0000, 0xFFFFE), range(0x100000, 0x10FFFE))
# A shorter end of a text is no sign of a control text: every "<" would be.
_LEAST_PART = 2
_MARK = re.compile(r"\S{3,}")


@dataclass(frozen=True)
class Marked:
    """A conversation whose content cannot be read as control tokens.

    Attributes:
        messages, tools, options: the template's input.
        sign: a character that was inserted into each text that would be a control token, and occurs nowhere else;
            empty if there is no such text.
    """

    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]]
    options: Mapping[str, Any]
    sign: str = ""


class ControlTexts:
    """The control texts of one model.

    Special tokens are control texts in all content. Other added tokens that the template itself writes (`<tool_call>`,
    `<think>`) are control texts only in content of users and tools; the model and the application have reasons to write
    them.
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer, template: str = "") -> None:
        """`template` is the chat template's source."""
        added = tokenizer.get_added_tokens_decoder().values()
        special = {token.content for token in added if token.special}
        marks = {token.content for token in added if token.content in template and _MARK.fullmatch(token.content)}
        self._template = template
        changes = template_texts.changes(template)
        middles = _Middles(special | marks, template_texts.names(template))
        self._special = _Finder(special, middles, changes)
        self._all = _Finder(special | marks, middles, changes)

    def mark(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]],
        options: Mapping[str, Any],
    ) -> Marked:
        """Insert a sign into each control text of the content; a conversation without control texts stays unchanged."""
        parts = (
            *((_content(message), self._finder(message)) for message in messages),
            *((tool, self._all) for tool in tools),
            (options, self._all),
        )
        if not any(finder.is_in(text) for value, finder in parts for text in _texts(value)):
            return Marked(messages, tools, options)
        sign = _unused_sign([self._template, *(text for value, _ in parts for text in _texts(value))])
        return Marked(
            [{**message, **_changed(_content(message), self._finder(message), sign)} for message in messages],
            [_changed(tool, self._all, sign) for tool in tools],
            _changed(options, self._all, sign),
            sign,
        )

    def _finder(self, message: Mapping[str, Any]) -> _Finder:
        return self._all if message["role"] in {"user", "tool"} else self._special


class _Middles:
    """The inner parts of control texts: a template that writes `"<" ~ name ~ ">"` completes them at both ends."""

    def __init__(self, texts: Iterable[str], names: frozenset[str]) -> None:
        """`names` are read by the template, which would not find them with a sign."""
        inner = [text[1:-1] for text in texts]
        self._joined = "\0".join(inner)
        self._longest = max(map(len, inner), default=0)
        self._names = names

    def __contains__(self, content: str) -> bool:
        return 0 < len(content) <= self._longest and content in self._joined and content not in self._names


class _Finder:
    """Finds texts of a set in other texts: whole, or a part that the neighbouring texts could complete."""

    def __init__(self, texts: Iterable[str], middles: _Middles, changes: Sequence[Change]) -> None:
        wanted = [text for text in texts if len(text) >= _LEAST_PART]
        self._whole = _any_of(wanted)
        self._heads = {text[:length] for text in wanted for length in range(_LEAST_PART, len(text))}
        self._tails = {text[-length:] for text in wanted for length in range(_LEAST_PART, len(text))}
        self._lengths = sorted({len(part) for part in self._heads})
        # For most texts, a check of two characters is enough.
        self._head_ends = {part[-_LEAST_PART:] for part in self._heads}
        self._tail_begins = {part[:_LEAST_PART] for part in self._tails}
        self._middles = middles
        self._changes = changes

    def is_in(self, text: str) -> bool:
        """Whether the text contains a control text, whole or in part, or the template's changes could create one."""
        return self._is_in(text) or self._appears_in(text)

    def signed(self, text: str, sign: str) -> str:
        """The text with the sign inserted into each control text."""
        begins, ends = self._begins(text), self._ends(text)
        found = self._whole.sub(lambda first: first[0] + sign, text)
        if ends:
            content = found.rstrip()
            found = content + sign + found[len(content) :]
        if begins:
            # Not before the first character, because templates sort names.
            first = len(found) - len(found.lstrip()) + 1
            found = found[:first] + sign + found[first:]
        return _between_all(text, sign) if self._appears_in(found) else found

    def _is_in(self, text: str) -> bool:
        return self._whole.search(text) is not None or self._begins(text) or self._ends(text)

    def _appears_in(self, text: str) -> bool:
        """Whether a change by the template creates a control text."""
        changed = (change(text) for change in self._changes)
        return any(self._is_in(one) for one in changed if one != text)

    def _begins(self, text: str) -> bool:
        """Whether the text begins with the end of a control text. Templates trim, so white space is ignored."""
        content = text.lstrip() if text[:1].isspace() else text
        if content[:_LEAST_PART] not in self._tail_begins:
            return False
        return any(content[:length] in self._tails for length in self._lengths)

    def _ends(self, text: str) -> bool:
        """Whether the text ends with the beginning of a control text, or is an inner part of one."""
        content = text.rstrip() if text[-1:].isspace() else text
        if content.lstrip() in self._middles:
            return True
        if content[-_LEAST_PART:] not in self._head_ends:
            return False
        return any(content[-length:] in self._heads for length in self._lengths)


def _between_all(text: str, sign: str) -> str:
    """The text with the sign after each character, so that no change brings two of them together."""
    content = text.strip()
    begin = len(text) - len(text.lstrip())
    return text[:begin] + "".join(one + sign for one in content) + text[begin + len(content) :]


def _any_of(texts: Sequence[str]) -> re.Pattern[str]:
    """A pattern for the first character of each text, so that overlapping texts are found too."""
    if not texts:
        return re.compile(r"(?!)")
    firsts: dict[str, list[str]] = {}
    for text in texts:
        firsts.setdefault(text[0], []).append(re.escape(text[1:]))
    return re.compile("|".join(f"{re.escape(first)}(?={'|'.join(rest)})" for first, rest in firsts.items()))


def _content(message: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a client writes freely: all but the role, which templates compare."""
    return {name: value for name, value in message.items() if name != "role"}


def _texts(value: Any) -> Iterable[str]:
    """Every text of a message, a tool or the options, names included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, JsonText):
        yield value.source
        yield from _texts(dict(value))
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield key
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


def _changed(value: Any, finder: _Finder, sign: str) -> Any:
    if isinstance(value, str):
        return finder.signed(value, sign)
    if isinstance(value, JsonText):
        return JsonText(_changed(dict(value), finder, sign), finder.signed(value.source, sign))
    if isinstance(value, Mapping):
        return {finder.signed(key, sign): _changed(one, finder, sign) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_changed(one, finder, sign) for one in value]
    return value


def unescaped(text: str, sign: str) -> str:
    """The text with the plain sign where a template has escaped it, as JSON in ASCII or as Python writes a list."""
    for escape in _escapes(sign):
        text = text.replace(escape, sign)
    return text


def _escapes(sign: str) -> tuple[str, ...]:
    return json.dumps(sign)[1:-1], repr(sign)[1:-1]


def _unused_sign(texts: Sequence[str]) -> str:
    """The first private character that no text contains, not even in an escape."""
    used: set[str] = set()
    for text in texts:
        if not text.isascii():
            used.update(text)
    escaped = [text.lower() for text in texts if "\\u" in text or "\\U" in text]
    signs = (chr(code) for codes in _SIGNS for code in codes if chr(code) not in used)
    return next(
        sign for sign in signs if not any(escape.lower() in text for text in escaped for escape in _escapes(sign))
    )
