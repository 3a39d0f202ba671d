"""Converts ECMA 262 patterns to the subset that the compiler reads in the same way. The rest is rejected.

The result is an ECMA 262 pattern with the same meaning. Converting the result again does not change it.
"""

from __future__ import annotations

import functools
import itertools
import re

_FEW_SPACES = (0x20, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0xFEFF)
_SPACES = sorted({*range(0x09, 0x0E), *range(0x2000, 0x200B), *_FEW_SPACES})
MAX_CHARACTERS = 4096
_LAST = 0x10FFFF
_HALVES = range(0xD800, 0xE000)
_CONTROLS = {"t": 0x09, "n": 0x0A, "v": 0x0B, "f": 0x0C, "r": 0x0D, "0": 0}
_SYNTAX = frozenset("^$\\.*+?()[]{}|/-&~")
_QUANTIFIER = re.compile(r"(?:[*+?]|\{[0-9]{1,6}(?:,[0-9]{0,6})?\})\??")
_ESCAPE = re.compile(
    r"\\(?:c(?P<control>[A-Za-z])|x(?P<byte>[0-9A-Fa-f]{2})|u\{(?P<point>[0-9A-Fa-f]{1,6})\}"
    r"|u(?P<high>[Dd][89ABab][0-9A-Fa-f]{2})\\u(?P<low>[Dd][C-Fc-f][0-9A-Fa-f]{2})|u(?P<unit>[0-9A-Fa-f]{4})"
    r"|(?P<property>[pP]\{[A-Za-z_=]{1,40}\})|(?P<other>.))",
    re.DOTALL,
)
_GROUP = re.compile(r"\((?:\?:|\?<[A-Za-z_][A-Za-z0-9_]*>|(?!\?))")


class PatternError(ValueError):
    """A pattern is invalid, or the compiler cannot enforce it; the message contains the reason."""


def lower_pattern(pattern: str) -> str:
    """Return the pattern for the compiler.

    Raises:
        PatternError: see PatternError.
    """
    if len(pattern) > MAX_CHARACTERS:
        raise PatternError(f"it has more than {MAX_CHARACTERS} characters")
    out: list[str] = []
    at = 0
    while at < len(pattern):
        at = _element(pattern, at, out)
    return "".join(out)


def _element(pattern: str, at: int, out: list[str]) -> int:
    """Convert the element at the index `at`; return the index after it."""
    letter = pattern[at]
    if letter == "\\":
        at, point, piece = _escape(pattern, at, in_class=False)
        out.append(_spelt(point) if point is not None else piece)
        return at
    if letter == "[":
        return _class(pattern, at + 1, out)
    if letter == "(":
        group = _GROUP.match(pattern, at)
        if group is None:
            raise PatternError("look-around, modifiers and other groups that begin with (? cannot be enforced")
        # Remove a group's name: it has no effect here, and the compiler rejects duplicate names.
        out.append("(" if group[0] == "(" else "(?:")
        return group.end()
    if quantifier := _QUANTIFIER.match(pattern, at):
        out.append(quantifier[0])
        return quantifier.end()
    if letter == ".":
        out.append("[^\\u{A}\\u{D}\\u{2028}\\u{2029}]")
    else:
        out.append(letter if letter in "^$|)" else _spelt(ord(letter)))
    return at + 1


def _escape(pattern: str, at: int, *, in_class: bool) -> tuple[int, int | None, str]:
    """Read an escape. Return the index after it, its character if it stands for one, else the text to write."""
    found = _ESCAPE.match(pattern, at)
    if found is None:
        raise PatternError("it ends within an escape")
    kind = str(found.lastgroup)
    if kind == "low":
        point = 0x10000 + ((int(found["high"], 16) - 0xD800) << 10) + int(found["low"], 16) - 0xDC00
    elif kind in {"byte", "point", "unit"}:
        point = int(found[kind], 16)
    elif kind == "control":
        point = ord(found[kind]) % 32
    elif kind == "property":
        return found.end(), None, found[0]
    else:
        return found.end(), *_letter_escape(found["other"], pattern[found.end() : found.end() + 1], in_class=in_class)
    return found.end(), point, ""


def _letter_escape(letter: str, after: str, *, in_class: bool) -> tuple[int | None, str]:
    if letter in "dDwW":
        return None, f"\\{letter}"
    if letter in "sS":
        inside = _space_ranges(negated=letter == "S")
        return None, inside if in_class else f"[{inside}]"
    if letter == "b" and in_class:
        return 8, ""
    if letter in _CONTROLS and not (letter == "0" and after.isdigit()):
        return _CONTROLS[letter], ""
    if letter.isalnum():
        raise PatternError(f"the escape \\{letter} cannot be enforced")
    return ord(letter), ""


def _class(pattern: str, at: int, out: list[str]) -> int:
    """Convert a class; `at` is the index after its opening bracket. Return the index after the class."""
    is_negated = pattern.startswith("^", at)
    at += is_negated
    members: list[str] = []
    while not pattern.startswith("]", at):
        at, low, piece = _member(pattern, at)
        if low is not None and pattern.startswith("-", at) and not pattern.startswith("-]", at):
            after, high, _ = _member(pattern, at + 1)
            if high is not None:
                if high < low:
                    raise PatternError("a range of characters ends before it begins")
                members.append(f"{_spelt(low)}-{_spelt(high)}")
                at = after
                continue
        members.append(piece if low is None else _spelt(low))
    if not members:
        raise PatternError("an empty character class cannot be enforced")
    out.append(f"[{'^' if is_negated else ''}{''.join(members)}]")
    return at + 1


def _member(pattern: str, at: int) -> tuple[int, int | None, str]:
    if at >= len(pattern):
        raise PatternError("a class is not closed")
    if pattern[at] == "\\":
        return _escape(pattern, at, in_class=True)
    return at + 1, ord(pattern[at]), ""


def _spelt(point: int) -> str:
    """The spelling of a character that both dialects read in the same way, inside and outside a class."""
    if point > _LAST or point in _HALVES:
        raise PatternError("half of a surrogate pair, or a number that is not a character, cannot be enforced")
    letter = chr(point)
    if letter in _SYNTAX:
        return f"\\{letter}"
    return letter if letter.isalnum() or letter in " _@#%,:;=<>!\"'`" else f"\\u{{{point:X}}}"


@functools.cache
def _space_ranges(*, negated: bool) -> str:
    """The white space of ECMA 262, or all other characters, as members of a class."""
    ranges = [(point, point) for point in _SPACES]
    if negated:
        edges = [-1, *_SPACES, _LAST + 1]
        ranges = [(before + 1, after - 1) for before, after in itertools.pairwise(edges) if after - before > 1]
    return "".join(f"{_spelt(low)}-{_spelt(high)}" for low, high in ranges)
