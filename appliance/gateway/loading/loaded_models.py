"""Loads models into Triton when requests need them, and unloads idle models when memory is short or their time is over.

Triton knows which models are ready; `observe` takes over what it reports, because Triton can restart at any time.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from appliance.errors import ApplianceError, NoSpaceError, UnavailableError, UnknownModelError
from appliance.gateway.access_log import log
from appliance.gateway.loading.offer import LoadState, Offer
from appliance.sizes import size

_POLL_S = 0.05
# Python and ONNX Runtime need about two seconds to end.
_END_S = 5.0
_WATCH_S = 1.0
# After a failure, the next attempt waits this long, then twice as long, up to the maximum.
_FIRST_PAUSE_S, _MAX_PAUSE_S = 1.0, 300.0
_BUSY = frozenset({LoadState.LOADING, LoadState.UNLOADING})


class Control(Protocol):
    """Orders Triton to load and unload; see `ModelControl`."""

    async def load(self, model: str, timeout_s: float) -> None:
        """Load a model and return when it is ready."""

    async def unload(self, model: str, timeout_s: float) -> None:
        """Begin to unload a model."""

    async def is_gone(self, model: str) -> bool:
        """Whether nothing of a model is left in Triton after an unload."""

    async def failure(self, model: str) -> ApplianceError | None:
        """Why Triton could not load a model; None if it is loaded or still loads, or Triton does not answer."""


@dataclass
class _Entry:
    """A model and what was seen of it.

    Attributes:
        offer: the model.
        state: where it is.
        users: requests that use it.
        idle_since: the clock's time at which its last request ended, or at which it was loaded.
        keep_until: the clock's time until which it stays although it is idle: the latest that any request since its
            load wants; None before the first.
        is_wanted: it should be loaded although no request needs it.
        error: why the last attempt to load it failed.
        failures: how many attempts in a row failed.
        retry_at: the clock's time of the next attempt.
        loading: the attempt that runs; requests share it.
        changed_at: the clock's time at which we last changed the state.
    """

    offer: Offer
    is_wanted: bool
    state: LoadState = LoadState.UNLOADED
    users: int = 0
    idle_since: float = 0.0
    keep_until: float | None = None
    error: ApplianceError | None = None
    failures: int = 0
    retry_at: float = 0.0
    loading: asyncio.Task[None] | None = None
    changed_at: float = 0.0


class LoadedModels:
    """See the module. It belongs to one event loop."""

    def __init__(
        self,
        control: Control,
        offers: Sequence[Offer],
        *,
        total_bytes: int,
        available_bytes: Callable[[], int],
        timeout_s: float,
        clock: Callable[[], float],
    ) -> None:
        """Begin with nothing loaded.

        Args:
            control: orders Triton.
            offers: the models of the set.
            total_bytes: the memory for all models together.
            available_bytes: returns the memory that a new process can use now. This is not enough alone: it contains
                the weights of loaded models, which are mapped files, and the parts of their caches that are not used
                yet.
            timeout_s: the longest time to load or unload a model, and the longest wait of a request.
            clock: returns monotonic seconds.
        """
        self._control = control
        self._entries = {offer.name: _Entry(offer, not offer.on_demand) for offer in offers}
        self._total_bytes = total_bytes
        self._available_bytes = available_bytes
        self._timeout_s = timeout_s
        self._clock = clock
        # One load at a time: two could each find the memory that only one of them fits into.
        self._turn = asyncio.Lock()

    def state(self, model: str) -> LoadState:
        """Where a model is."""
        return self._entries[model].state

    def error(self, model: str) -> ApplianceError | None:
        """Why the last attempt to load a model failed; None if it did not fail."""
        return self._entries[model].error

    @property
    def wanted(self) -> list[str]:
        """The models that should be ready now."""
        return [name for name, entry in self._entries.items() if entry.is_wanted or entry.state is LoadState.LOADED]

    def is_on_demand(self, model: str) -> bool:
        """Whether a model is loaded when a request needs it, and may be unloaded."""
        return self._entries[model].offer.on_demand

    def memory_bytes(self, model: str) -> int:
        """The planned main memory of a model; 0 if it is not in main memory."""
        return self._entries[model].offer.memory_bytes

    def keeps_s(self, model: str) -> float:
        """Seconds for which a model stays loaded although it is idle, if its memory is not needed; may be infinite."""
        entry = self._entries[model]
        if not entry.offer.on_demand:
            return math.inf
        return math.inf if entry.keep_until is None else max(0.0, entry.keep_until - self._clock())

    @contextlib.contextmanager
    def using(self, model: str, keep_alive_s: float | None = None) -> Iterator[None]:
        """Count a request that uses a model; a model in use is not unloaded.

        Args:
            model: the model.
            keep_alive_s: seconds after the request for which a model on demand stays loaded, if its memory is not
                needed; None: the operator's. A request cannot shorten the time that another request wants.
        """
        entry = self._entries[model]
        entry.users += 1
        try:
            yield
        finally:
            entry.users -= 1
            entry.idle_since = self._clock()
            self._keep(entry, entry.offer.keep_alive_s if keep_alive_s is None else keep_alive_s)

    async def ready(self, model: str) -> float:
        """Wait until a request can be sent to the model, inside of `using`. A model on demand is loaded if necessary.

        Returns:
            The seconds that this took; 0 if the model is loaded.

        Raises:
            UnavailableError: the operator has unloaded the model, or it cannot be loaded.
        """
        if refusal := self.refusal(model):
            raise refusal
        entry = self._entries[model]
        if entry.state is LoadState.LOADED or not entry.offer.on_demand:
            return 0.0
        began = self._clock()
        try:
            await self._wait(entry)
        except ApplianceError as error:
            raise _not_now(model, error) from error
        return self._clock() - began

    def refusal(self, model: str) -> UnavailableError | None:
        """Why no request can be sent to a model now; None if it can, perhaps after the model is loaded."""
        entry = self._entries[model]
        if entry.state is LoadState.LOADED:
            return None
        if entry.offer.on_demand:
            is_pausing = entry.error is not None and self._clock() < entry.retry_at
            return _not_now(model, entry.error) if entry.error is not None and is_pausing else None
        # The box loads it by itself. A request does not wait: other boxes may serve it.
        if entry.error is not None:
            return _not_now(model, entry.error)
        if not entry.is_wanted:
            return UnavailableError(f"the operator has unloaded {model}", hint=f"appliance model load {model}")
        if entry.state in _BUSY:
            return UnavailableError(f"{model} is being loaded", hint="try again in a few seconds")
        return None

    async def load(self, model: str) -> None:
        """Load a model now, by order of the operator.

        Raises:
            UnknownModelError: the box does not serve the model.
            NoSpaceError: it does not fit the memory.
            ApplianceError: Triton cannot load it; the error names the reason.
        """
        entry = self._entry(model)
        entry.is_wanted = entry.is_wanted or not entry.offer.on_demand
        if entry.loading is not None:
            # It may have begun before the operator corrected what makes it fail.
            with contextlib.suppress(ApplianceError):
                await asyncio.shield(entry.loading)
        await self._wait(entry)

    async def unload(self, model: str) -> None:
        """Unload a model by order of the operator, after its running requests have finished.

        A later request loads a model on demand again. Other models stay unloaded until `load` or a start of Triton.

        Raises:
            UnknownModelError: the box does not serve the model.
            UnavailableError: its requests did not finish in time; the model stays loaded.
        """
        entry = self._entry(model)
        if entry.state in {LoadState.UNLOADED, LoadState.FAILED}:
            entry.is_wanted = False
            entry.error = None
            return
        async with self._turn:
            was_wanted, entry.is_wanted = entry.is_wanted, False
            entry.state = LoadState.UNLOADING
            deadline = self._clock() + self._timeout_s
            while entry.users:
                if self._clock() > deadline:
                    entry.state, entry.is_wanted = LoadState.LOADED, was_wanted
                    raise UnavailableError(
                        f"{model} still answers {entry.users} requests after {self._timeout_s:g} s",
                        hint="try again when they have finished",
                    )
                await asyncio.sleep(_POLL_S)
            await self._unload(entry)

    def ended(self, model: str) -> None:
        """Take over that the process of a model has ended without an order, and load the model again.

        A model on demand is loaded again by the next request.

        Raises:
            UnknownModelError: the box does not serve the model.
        """
        entry = self._entry(model)
        if entry.loading is None and entry.state is not LoadState.UNLOADING:
            # No request is sent to it from now on.
            entry.state = LoadState.UNLOADING
            entry.loading = asyncio.create_task(self._load_again(entry))
            # A request may wait for it; the log has its failure.
            entry.loading.add_done_callback(lambda task: task.cancelled() or task.exception())

    @property
    def now(self) -> float:
        """The clock's time."""
        return self._clock()

    def observe(self, ready: Mapping[str, bool], asked_at: float) -> None:
        """Take over which models Triton reported as ready after the clock's time `asked_at`."""
        for name, entry in self._entries.items():
            if entry.state in _BUSY or entry.loading is not None or entry.changed_at >= asked_at:
                continue
            if ready[name]:
                if entry.state is not LoadState.LOADED:
                    self._loaded(entry)
                    entry.is_wanted = not entry.offer.on_demand
            elif entry.state is LoadState.LOADED:
                entry.state = LoadState.UNLOADED

    async def watch(self) -> None:
        """Once a second, unload models whose idle time is over, and try failed models again whose pause is over."""
        while True:
            await asyncio.sleep(_WATCH_S)
            for entry in self._entries.values():
                # The log has the reason, and the next round tries again.
                with contextlib.suppress(ApplianceError):
                    await self._tend(entry)

    async def _tend(self, entry: _Entry) -> None:
        if self._is_over(entry):
            async with self._turn:
                # A request may have come while this waited.
                if self._is_over(entry):
                    await self._unload(entry)
        if entry.is_wanted and entry.state is LoadState.UNLOADED:
            error = await self._control.failure(entry.offer.name)
            if error is not None and entry.state is LoadState.UNLOADED:
                self._failed(entry, error)
        if entry.is_wanted and entry.state is LoadState.FAILED and self._clock() >= entry.retry_at:
            await self._wait(entry)

    def _entry(self, model: str) -> _Entry:
        try:
            return self._entries[model]
        except KeyError:
            raise UnknownModelError(
                f"this box does not serve the model {model!r}", hint=f"served models: {', '.join(self._entries)}"
            ) from None

    async def _wait(self, entry: _Entry) -> None:
        """Wait for the attempt to load the model that runs, or start one."""
        while entry.state is not LoadState.LOADED:
            if entry.loading is None:
                entry.loading = asyncio.create_task(self._load(entry))
            await asyncio.shield(entry.loading)

    async def _load(self, entry: _Entry) -> None:
        name = entry.offer.name
        try:
            async with self._turn:
                if entry.state is LoadState.LOADED:
                    return
                await self._make_room(entry)
                entry.state, entry.keep_until = LoadState.LOADING, None
                log.info("loading", extra={"fields": {"model": name}})
                await self._control.load(name, self._timeout_s)
                self._loaded(entry)
                log.info("loaded", extra={"fields": {"model": name}})
        except ApplianceError as error:
            self._failed(entry, error)
            raise
        finally:
            entry.loading = None

    async def _load_again(self, entry: _Entry) -> None:
        try:
            async with self._turn:
                # Triton reports it as ready until it is unloaded.
                await self._unload(entry)
        except ApplianceError as error:
            self._failed(entry, error)
            raise
        finally:
            entry.loading = None
        if entry.is_wanted:
            await self._wait(entry)

    def _keep(self, entry: _Entry, seconds: float | None) -> None:
        until = math.inf if seconds is None else self._clock() + seconds
        entry.keep_until = until if entry.keep_until is None else max(entry.keep_until, until)

    def _is_over(self, entry: _Entry) -> bool:
        """Whether the model is idle, and no request wants that it stays."""
        is_past = entry.keep_until is not None and self._clock() >= entry.keep_until
        return entry.offer.on_demand and is_past and _is_idle(entry)

    def _loaded(self, entry: _Entry) -> None:
        entry.state, entry.error, entry.failures = LoadState.LOADED, None, 0
        entry.idle_since = entry.changed_at = self._clock()
        # The requests that it was loaded for say how long they want it when they end.
        if not entry.users and entry.keep_until is None:
            self._keep(entry, entry.offer.keep_alive_s)

    def _failed(self, entry: _Entry, error: ApplianceError) -> None:
        entry.state, entry.error = LoadState.FAILED, error
        entry.changed_at = self._clock()
        entry.retry_at = entry.changed_at + min(_FIRST_PAUSE_S * 2**entry.failures, _MAX_PAUSE_S)
        entry.failures += 1
        log.warning("not loaded", extra={"fields": {"model": entry.offer.name, "reason": str(error)}})

    async def _make_room(self, wanted: _Entry) -> None:
        """Unload idle models on demand, the least recently used first, until the model fits.

        Raises:
            NoSpaceError: it does not fit; the message has the calculation.
        """
        need = wanted.offer.memory_bytes
        while need > self._room_bytes:
            idle = [entry for entry in self._entries.values() if entry.offer.on_demand and _is_idle(entry)]
            if not idle:
                raise self._does_not_fit(wanted)
            await self._unload(min(idle, key=lambda entry: entry.idle_since))
            deadline = self._clock() + _END_S
            # Only the kernel shows when the memory is free.
            while need > self._room_bytes and self._clock() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S)

    @property
    def _loaded_entries(self) -> list[_Entry]:
        return [entry for entry in self._entries.values() if entry.state is LoadState.LOADED]

    @property
    def _room_bytes(self) -> int:
        planned = sum(entry.offer.memory_bytes for entry in self._loaded_entries)
        return min(self._total_bytes - planned, self._available_bytes())

    def _does_not_fit(self, wanted: _Entry) -> NoSpaceError:
        loaded = [f"{size(each.offer.memory_bytes)} for {each.offer.name}" for each in self._loaded_entries]
        return NoSpaceError(
            f"{wanted.offer.name} needs {size(wanted.offer.memory_bytes)}; of {size(self._total_bytes)} for models,"
            f" {' and '.join(loaded) or 'nothing'} is in use, and the machine has"
            f" {size(self._available_bytes())} available",
            hint="unload another model, or lower its slots or cache_bytes",
        )

    async def _unload(self, entry: _Entry) -> None:
        name = entry.offer.name
        entry.state = LoadState.UNLOADING
        try:
            await self._control.unload(name, self._timeout_s)
        except ApplianceError:
            entry.state = LoadState.LOADED
            raise
        # If Triton loads a model while another, or the same, ends, it damages its memory (seen in 2.51). The end of a
        # process that died with running requests never comes.
        deadline = self._clock() + _END_S
        while not await self._control.is_gone(name) and self._clock() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
        entry.state = LoadState.UNLOADED
        entry.changed_at = self._clock()
        log.info("unloaded", extra={"fields": {"model": name}})


def _is_idle(entry: _Entry) -> bool:
    return entry.state is LoadState.LOADED and entry.users == 0


def _not_now(model: str, error: ApplianceError) -> UnavailableError:
    """What a client gets: only the operator needs to know about files and folders."""
    reason = error.message if isinstance(error, NoSpaceError) else "the log of the box has the reason"
    return UnavailableError(f"{model} cannot be loaded now: {reason}", hint="use another model, or try again later")
