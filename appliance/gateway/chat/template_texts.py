"""What a chat template's source shows of its use of content: the names that it reads, and how it changes texts.

It reads quotes and filters only; it compiles and renders nothing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

Change = Callable[[str], str]

# Overlapping, because an apostrophe in the template's prose would shift all later pairs of quotes.
_QUOTED = re.compile(r"""(?=(["'])((?:(?!\1)[^\s\\])+)\1)""")
_ATTRIBUTE = re.compile(r"\.\s*(\w+)")
_LITERAL = r"""("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
_REPLACED = re.compile(rf"\breplace\(\s*{_LITERAL}\s*(?:,\s*{_LITERAL})?")
_CUT = re.compile(rf"(?:\b(?:split|partition)\(|(?<![=!<>])=)\s*{_LITERAL}")
_CASES: dict[str, Change] = {
    "lower": str.lower,
    "upper": str.upper,
    "title": str.title,
    "capitalize": str.capitalize,
}
_CASE = re.compile(rf"[|.]\s*({'|'.join(_CASES)})\b")


def names(source: str) -> frozenset[str]:
    """The texts that the template can compare with content or look up in it."""
    quoted = {found[2] for found in _QUOTED.finditer(source)}
    return frozenset({*quoted, *(part for text in quoted for part in text.split(".")), *_ATTRIBUTE.findall(source)})


def changes(source: str) -> tuple[Change, ...]:
    """The changes that the template can make inside a text: each one alone, and all replacements in order."""
    replacements = list(dict.fromkeys(_replacements(source)))
    cases = [_CASES[name] for name in dict.fromkeys(_CASE.findall(source))]
    each = [_replacing([pair]) for pair in replacements]
    return (*each, *([_replacing(replacements)] if len(each) > 1 else []), *cases)


def _replacements(source: str) -> Iterator[tuple[str, str]]:
    """Each text that the template replaces or cuts out, also by a variable, and what it writes instead."""
    for found in _REPLACED.finditer(source):
        yield _value(found[1]), _value(found[2] or "''")
    for found in _CUT.finditer(source):
        yield _value(found[1]), ""


def _value(literal: str) -> str:
    """The text of a literal; Jinja's escapes are Python's."""
    try:
        return str(ast.literal_eval(literal))
    except (ValueError, SyntaxError):
        return literal[1:-1]


def _replacing(pairs: list[tuple[str, str]]) -> Change:
    def change(text: str) -> str:
        for old, new in pairs:
            if old:
                text = text.replace(old, new)
        return text

    return change
