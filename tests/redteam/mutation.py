"""Changes to valid bytes: values replaced by what none can be, bytes overwritten, pieces cut, doubled and nested."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from tests.export.mutants import BITS, VALUES

# A text, number or word of JSON and TOML.
_VALUE = re.compile(rb'"(?:[^"\\\n]|\\.)*"|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|\b(?:true|false|null)\b')
_NESTED = (b"[" * 20_000, b'{"a":' * 20_000, b"[" * 20_000 + b"]" * 20_000)


def mutants(content: bytes, chance: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield what was done, and the changed bytes."""
    for _ in range(count):
        yield mutant(content, chance)


def mutant(content: bytes, chance: random.Random) -> tuple[str, bytes]:
    """One change, or up to three of them."""
    done = []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        change = chance.choice(
            (_replace_value, _replace_value, _replace_value, _overwrite, _flip, _cut, _double, _nest)
        )
        what, content = change(content, chance)
        done.append(what)
    return ", ".join(done), content


def _replace_value(content: bytes, chance: random.Random) -> tuple[str, bytes]:
    found = list(_VALUE.finditer(content[:100_000]))
    if not found:
        return _overwrite(content, chance)
    where, value = chance.choice(found), chance.choice(VALUES).encode()
    return f"at {where.start()}: {value[:30]!r}", content[: where.start()] + value + content[where.end() :]


def _overwrite(content: bytes, chance: random.Random) -> tuple[str, bytes]:
    position, bits = chance.randrange(len(content) + 1), chance.choice(BITS)
    return f"at {position}: {bits.hex()}", content[:position] + bits + content[position + len(bits) :]


def _flip(content: bytes, chance: random.Random) -> tuple[str, bytes]:
    if not content:
        return _overwrite(content, chance)
    position, bit = chance.randrange(len(content)), 1 << chance.randrange(8)
    flipped = bytearray(content)
    flipped[position] ^= bit
    return f"at {position}: bit {bit}", bytes(flipped)


def _cut(content: bytes, chance: random.Random) -> tuple[str, bytes]:
    kept = chance.randrange(len(content) + 1)
    return f"cut at {kept}", content[:kept]


def _double(content: bytes, chance: random.Random) -> tuple[str, bytes]:
    begin = chance.randrange(len(content) + 1)
    piece = content[begin : begin + chance.choice((1, 8, 64, 1024))]
    return f"{len(piece)} bytes at {begin} twice", content[:begin] + piece + content[begin:]


def _nest(content: bytes, chance: random.Random) -> tuple[str, bytes]:
    if chance.random() < 0.8:
        return _replace_value(content, chance)
    begin, piece = chance.randrange(len(content) + 1), chance.choice(_NESTED)
    return f"nested at {begin}", content[:begin] + piece + content[begin:]
