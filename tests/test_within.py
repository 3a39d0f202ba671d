"""A limit of time neither loses a cancellation nor leaves anything running."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Iterator
from typing import Any

import pytest

from appliance.within import within
from tests.waiting import LIMIT_S

TURNS = 8


@pytest.fixture
def young() -> Iterator[None]:
    """Let the garbage collector look at new objects alone: those of all modules take it half a second."""
    gc.freeze()
    yield
    gc.unfreeze()


async def turns(count: int) -> str:
    for _ in range(count):
        await asyncio.sleep(0)
    return "done"


@pytest.mark.parametrize("needed", range(TURNS))
@pytest.mark.parametrize("given", range(1, TURNS))
def test_a_cancellation_arrives_in_whatever_moment_the_work_ends(needed: int, given: int):
    async def attempt() -> tuple[bool, bool]:
        task = asyncio.create_task(within(LIMIT_S, turns(needed)))
        await turns(given)
        was_pending = task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return was_pending, task.cancelled()

    was_pending, was_cancelled = asyncio.run(attempt())
    assert was_cancelled == was_pending


def test_what_ends_in_time_gives_its_value_or_its_error():
    async def fail() -> None:
        raise KeyError("a")

    assert asyncio.run(within(LIMIT_S, turns(3))) == "done"
    with pytest.raises(KeyError):
        asyncio.run(within(LIMIT_S, fail()))


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_what_does_not_end_is_ended_and_has_cleaned_up(is_cancelled: bool):
    cleaned = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    async def attempt() -> None:
        task = asyncio.create_task(within(LIMIT_S if is_cancelled else 0.0, endless()))
        await turns(3)
        if is_cancelled:
            task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError if is_cancelled else asyncio.TimeoutError):
        asyncio.run(attempt())
    assert cleaned == [True]


@pytest.mark.parametrize("needed", range(TURNS))
@pytest.mark.parametrize("given", range(1, TURNS))
@pytest.mark.usefixtures("young")
def test_an_error_in_the_moment_of_a_cancellation_is_no_error_that_nobody_read(needed: int, given: int):
    complaints: list[dict[str, Any]] = []

    async def fail() -> None:
        await turns(needed)
        raise KeyError("a")

    async def attempt() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
        task = asyncio.create_task(within(LIMIT_S, fail()))
        await turns(given)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, KeyError):
            await task
        del task
        gc.collect()

    asyncio.run(attempt())
    assert complaints == []
