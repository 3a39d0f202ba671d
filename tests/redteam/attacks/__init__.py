"""The attacks, by kind; each file has its own in `ATTACKS`."""

from __future__ import annotations

from collections.abc import Iterator

from tests.redteam.attack import Attack
from tests.redteam.attacks import (
    files,
    framing,
    grammars,
    hosts,
    local_user,
    page,
    paths,
    principals,
    rude,
    schemas,
    sizes,
    templates,
    tls,
    turns,
)
from tests.redteam.fuzz import attacks as fuzz_attacks

_KINDS = (
    principals,
    turns,
    framing,
    hosts,
    paths,
    local_user,
    grammars,
    schemas,
    templates,
    sizes,
    rude,
    tls,
    page,
    files,
)


def every(fuzz_s: float) -> Iterator[Attack]:
    """All of them; `fuzz_s` is for all fuzz together."""
    for kind in _KINDS:
        yield from kind.ATTACKS
    yield from fuzz_attacks(fuzz_s)
