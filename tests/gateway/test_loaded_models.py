"""Models that are loaded when requests need them, and unloaded when memory is short or their time is over."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from appliance.errors import ApplianceError, IntegrityError, NoSpaceError, UnavailableError, UnknownModelError
from appliance.gateway.loading import loaded_models
from appliance.gateway.loading.loaded_models import LoadedModels
from appliance.gateway.loading.offer import LoadState, Offer
from tests.refusals import refused
from tests.waiting import LIMIT_S

GB = 10**9
UNLOADED, LOADED, FAILED = LoadState.UNLOADED, LoadState.LOADED, LoadState.FAILED


class Box:
    """A Triton that loads at once, with so much memory and a clock that the test sets."""

    def __init__(self, *offers: Offer, total_bytes: int = 10 * GB) -> None:
        self.time = 100.0
        self.free_bytes = total_bytes
        self.orders: list[str] = []
        self.failures: dict[str, ApplianceError] = {}
        self.may_load = asyncio.Event()
        self.may_load.set()
        self._needs = {offer.name: offer.memory_bytes for offer in offers}
        self.models = LoadedModels(
            self,
            offers,
            total_bytes=total_bytes,
            available_bytes=lambda: self.free_bytes,
            timeout_s=60.0,
            clock=lambda: self.time,
        )

    async def load(self, model: str, timeout_s: float) -> None:
        self.orders.append(f"load {model}")
        await asyncio.wait_for(self.may_load.wait(), timeout_s)
        if model in self.failures:
            raise self.failures[model]
        self.free_bytes -= self._needs[model]

    async def unload(self, model: str, timeout_s: float) -> None:
        assert timeout_s > 0
        self.orders.append(f"unload {model}")
        self.free_bytes += self._needs[model]

    async def is_gone(self, model: str) -> bool:
        return self.orders[-1] == f"unload {model}"

    async def failure(self, model: str) -> ApplianceError | None:
        return self.failures.get(model)

    async def ask(self, model: str, keep_alive_s: float | None = None) -> None:
        with self.models.using(model, keep_alive_s):
            await self.models.ready(model)
        self.time += 1

    def states(self, *names: str) -> list[LoadState]:
        return [self.models.state(name) for name in names]


def on_demand(name: str, memory_bytes: int = GB, keep_alive_s: float | None = None) -> Offer:
    return Offer(name, memory_bytes, on_demand=True, keep_alive_s=keep_alive_s)


@pytest.fixture(autouse=True)
def _no_wait_for_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaded_models, "_END_S", 0)


def run(script: Callable[[], Awaitable[Any]]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(script(), LIMIT_S)

    asyncio.run(limited())


def test_a_request_loads_its_model_once():
    async def script() -> None:
        box = Box(on_demand("a"), on_demand("b"))
        assert box.models.wanted == []
        box.may_load.clear()
        asked = [asyncio.create_task(box.ask("a")) for _ in range(3)]
        await asyncio.sleep(0)
        box.may_load.set()
        await asyncio.gather(*asked)
        await box.ask("a")
        assert box.orders == ["load a"]
        assert box.states("a", "b") == [LOADED, UNLOADED]
        assert box.models.wanted == ["a"]

    run(script)


def test_the_least_recently_used_idle_models_leave_until_the_wanted_one_fits():
    async def script() -> None:
        box = Box(*(on_demand(name, 3 * GB) for name in "abc"), on_demand("d", 5 * GB))
        for name in "abcab":
            await box.ask(name)
        await box.ask("d")
        assert box.orders[3:] == ["unload c", "unload a", "load d"]

    run(script)


def test_a_model_in_use_and_one_that_is_always_loaded_stay_and_the_arithmetic_is_told():
    async def script() -> None:
        box = Box(Offer("fixed", 4 * GB), on_demand("busy", 4 * GB), on_demand("new", 3 * GB))
        await box.models.load("fixed")
        with box.models.using("busy"):
            await box.models.ready("busy")
            with refused(
                NoSpaceError, "new needs 3.00 GB", "4.00 GB for fixed", "4.00 GB for busy", "2.00 GB available"
            ):
                await box.models.load("new")
            with refused(UnavailableError, "new needs 3.00 GB"):
                await box.ask("new")
        box.time += 1000
        await box.ask("new")
        assert box.orders == ["load fixed", "load busy", "unload busy", "load new"]

    run(script)


def test_planned_memory_counts_although_it_is_not_used_yet():
    async def script() -> None:
        box = Box(Offer("fixed", 6 * GB), on_demand("new", 5 * GB))
        await box.models.load("fixed")
        box.free_bytes = 9 * GB
        with refused(NoSpaceError, "5.00 GB", "6.00 GB for fixed"):
            await box.models.load("new")

    run(script)


def test_memory_of_an_ended_process_is_waited_for(monkeypatch):
    async def script() -> None:
        monkeypatch.setattr(loaded_models, "_END_S", 1)
        box = Box(on_demand("a", 6 * GB), on_demand("b", 6 * GB), on_demand("c", 1 * GB))
        await box.ask("c")
        await box.ask("a")
        unload = box.unload

        async def late(model: str, timeout_s: float) -> None:
            await unload(model, timeout_s)
            box.free_bytes -= 6 * GB
            asyncio.get_running_loop().call_later(0.05, lambda: setattr(box, "free_bytes", 10 * GB))

        box.unload = late  # type: ignore[method-assign]
        box.time += 10
        with box.models.using("c"):
            await box.ask("b")
        assert box.orders == ["load c", "load a", "unload a", "load b"]

    run(script)


def test_an_idle_model_leaves_when_its_time_is_over(monkeypatch):
    async def script() -> None:
        monkeypatch.setattr(loaded_models, "_WATCH_S", 0)
        box = Box(on_demand("a", keep_alive_s=5), on_demand("b"))
        watch = asyncio.create_task(box.models.watch())
        await box.ask("a")
        await box.ask("b")
        box.time += 2
        await _turns()
        assert box.states("a", "b") == [LOADED, LOADED]
        with box.models.using("a"):
            box.time += 3
            await _turns()
            assert box.models.state("a") is LOADED
        box.time += 6
        await _turns()
        assert box.states("a", "b") == [UNLOADED, LOADED]
        watch.cancel()

    run(script)


def test_a_model_stays_as_long_as_the_longest_wish_of_its_requests(monkeypatch):
    async def script() -> None:
        monkeypatch.setattr(loaded_models, "_WATCH_S", 0)
        box = Box(on_demand("a", keep_alive_s=5))
        watch = asyncio.create_task(box.models.watch())
        await box.ask("a", keep_alive_s=100)
        assert box.models.keeps_s("a") == 99
        for wish in (0, None, 50):
            await box.ask("a", keep_alive_s=wish)
        box.time += 95
        await _turns()
        assert box.models.state("a") is LOADED
        box.time += 1
        await _turns()
        assert box.models.state("a") is UNLOADED
        # The wishes before the load are forgotten.
        await box.ask("a", keep_alive_s=0)
        await _turns()
        assert box.models.state("a") is UNLOADED
        watch.cancel()

    run(script)


def test_a_wish_for_ever_ends_only_when_the_memory_is_needed(monkeypatch):
    async def script() -> None:
        monkeypatch.setattr(loaded_models, "_WATCH_S", 0)
        box = Box(on_demand("a", 6 * GB, keep_alive_s=0), on_demand("b", 6 * GB), Offer("c"))
        watch = asyncio.create_task(box.models.watch())
        await box.ask("a", keep_alive_s=math.inf)
        box.time += 10**9
        await _turns()
        assert box.models.state("a") is LOADED
        await box.ask("b")
        assert box.models.state("a") is UNLOADED
        assert box.models.keeps_s("b") == box.models.keeps_s("c") == math.inf
        watch.cancel()

    run(script)


def test_a_model_in_use_stays_after_its_time(monkeypatch):
    async def script() -> None:
        monkeypatch.setattr(loaded_models, "_WATCH_S", 0)
        box = Box(on_demand("a"))
        watch = asyncio.create_task(box.models.watch())
        with box.models.using("a", 0):
            await box.models.ready("a")
            await _turns()
            assert box.models.state("a") is LOADED
            assert box.models.keeps_s("a") == math.inf
        await _turns()
        assert box.models.state("a") is UNLOADED
        watch.cancel()

    run(script)


def test_a_request_learns_how_long_it_waited_for_its_model():
    async def script() -> None:
        box = Box(on_demand("a"))
        box.may_load.clear()
        waiting = asyncio.create_task(box.models.ready("a"))
        await _turns()
        box.time += 7
        box.may_load.set()
        assert await waiting == 7
        assert await box.models.ready("a") == 0

    run(script)


def test_a_model_that_cannot_be_loaded_is_not_tried_by_each_request():
    async def script() -> None:
        box = Box(on_demand("a"))
        box.failures["a"] = IntegrityError("/secret/path is damaged", hint="export again")
        for _ in range(3):
            with refused(UnavailableError, "a cannot be loaded") as error:
                await box.models.ready("a")
            assert "/secret" not in str(error.value)
        assert box.orders == ["load a"]
        assert box.models.state("a") is FAILED
        box.failures.clear()
        box.time += 1.5
        await box.ask("a")
        assert (box.models.state("a"), box.models.error("a")) == (LOADED, None)

    run(script)


def test_a_model_that_is_always_loaded_and_fails_is_tried_again_with_growing_pauses(monkeypatch):
    async def script() -> None:
        monkeypatch.setattr(loaded_models, "_WATCH_S", 0)
        box = Box(Offer("a"), Offer("b"))
        box.failures["a"] = IntegrityError("damaged")
        box.models.observe({"a": False, "b": True}, box.models.now + 1)
        watch = asyncio.create_task(box.models.watch())
        await _turns()
        assert box.states("a", "b") == [FAILED, LOADED]
        with refused(UnavailableError, "a cannot be loaded"):
            await box.models.ready("a")
        await box.models.ready("b")
        tries = []
        for _ in range(8):
            box.time += 1
            await _turns()
            tries.append(len(box.orders))
        assert tries == [1, 1, 2, 2, 2, 2, 3, 3]
        box.failures.clear()
        box.time += 300
        await _turns()
        assert box.models.state("a") is LOADED
        watch.cancel()

    run(script)


def test_an_unload_waits_for_running_requests():
    async def script() -> None:
        box = Box(Offer("a"))
        await box.models.load("a")
        with box.models.using("a"):
            unloading = asyncio.create_task(box.models.unload("a"))
            await asyncio.sleep(0.1)
            assert box.orders == ["load a"]
        await unloading
        assert box.states("a") == [UNLOADED]
        assert box.models.wanted == []
        with refused(UnavailableError, "unloaded", "appliance model load a"):
            await box.models.ready("a")
        await box.models.load("a")
        await box.models.ready("a")
        assert box.models.wanted == ["a"]

    run(script)


def test_an_unload_gives_up_while_a_request_runs_too_long():
    async def script() -> None:
        box = Box(Offer("a"))
        await box.models.load("a")
        with box.models.using("a"):
            unloading = asyncio.create_task(box.models.unload("a"))
            await asyncio.sleep(0)
            box.time += 61
            with refused(UnavailableError, "1 requests"):
                await unloading
        assert box.states("a") == [LOADED]
        assert box.models.wanted == ["a"]

    run(script)


def test_orders_for_unknown_models_are_refused():
    async def script() -> None:
        box = Box(Offer("a"))
        for order in (box.models.load, box.models.unload):
            with refused(UnknownModelError, "'x'", "a"):
                await order("x")

    run(script)


def test_what_triton_reports_is_taken_over_but_not_what_it_reported_before_a_change():
    async def script() -> None:
        box = Box(Offer("a"), on_demand("b"))
        await box.models.load("b")
        asked_at = box.models.now - 1
        box.models.observe({"a": True, "b": False}, asked_at)
        assert box.states("a", "b") == [LOADED, LOADED]
        # Triton was started again, with the models that are always loaded.
        box.time += 10
        box.models.observe({"a": False, "b": False}, box.models.now)
        assert box.states("a", "b") == [UNLOADED, UNLOADED]
        assert box.models.wanted == ["a"]
        await box.ask("b")
        assert box.orders == ["load b", "load b"]

    run(script)


def test_a_request_that_leaves_does_not_end_the_load_for_others():
    async def script() -> None:
        box = Box(on_demand("a"))
        box.may_load.clear()
        leaver, stayer = (asyncio.create_task(box.ask("a")) for _ in range(2))
        await asyncio.sleep(0)
        leaver.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaver
        box.may_load.set()
        await stayer
        assert box.orders == ["load a"]

    run(script)


async def _turns() -> None:
    """Let other tasks run."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_an_order_to_load_does_not_share_an_attempt_that_began_before_it():
    async def script() -> None:
        box = Box(on_demand("a"))
        box.failures["a"] = IntegrityError("damaged")
        box.may_load.clear()
        request = asyncio.create_task(box.ask("a"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert box.orders == ["load a"]
        order = asyncio.create_task(box.models.load("a"))
        await asyncio.sleep(0)
        box.may_load.set()
        with pytest.raises(UnavailableError):
            await request
        del box.failures["a"]
        await order
        assert box.states("a") == [LOADED]

    run(script)
