"""A model that lets its clients wait, and the keep-alive comments that they get meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from tests.gateway.fake_triton import failure, piece, usage


class Slow:
    """A model that says nothing until it may go on; then it says `texts`, or fails with `fault`."""

    def __init__(self, *texts: str, fault: str = "") -> None:
        self.may_go_on = False
        self._texts = texts
        self._fault = fault

    async def __call__(self, asked):
        while not self.may_go_on:  # noqa: ASYNC110 - the thread of the test sets it
            await asyncio.sleep(0.005)
        for number, text in enumerate(self._texts):
            yield piece(text, [number])
        if self._fault:
            yield failure(self._fault)
        else:
            yield piece("", [], finish="stop", usage=usage(asked, len(self._texts)))


def is_sign(line: str) -> bool:
    return line.startswith(":") or line == "event: ping"


def after_signs(lines: Iterator[str], count: int) -> None:
    """Read until this many keep-alive comments have come."""
    while count:
        count -= is_sign(next(lines))
