"""Collects the status of the box from its state file, its processes and Triton's metrics. It changes nothing."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from appliance import http
from appliance.disk import Disk
from appliance.edgellm import EdgeLlm, probe
from appliance.errors import UnavailableError
from appliance.jetson import Board, read_board
from appliance.layout import Layout
from appliance.metrics import METRICS, Sample, parse
from appliance.metrics.names import SLOTS_ALLOWED, UPDATED
from appliance.supervisor import state
from appliance.supervisor.state import ModelState, Phase, UpState
from appliance.triton import sockets
from appliance.triton.model_process import model_processes

# The engine writes its figures twice a second; older figures mean that its process hangs or has ended.
STALE_S = 10.0
# A person waits for this status: on a busy machine a late answer is better than a false alarm.
_PATIENCE_S = 5.0
# States of a model that the gateway reports; see appliance/gateway/loading/offer.py.
_RESTING = frozenset({"unloaded", "loading", "unloading"})
_FAILED = "failed"
_PLAIN = tuple(metric for metric in (*METRICS, SLOTS_ALLOWED) if not metric.label)


@dataclass(frozen=True)
class ModelStatus:
    """The status of one model at one moment.

    Attributes:
        state: the model's entry in the state file.
        healthy: its engine wrote its figures recently and accepts requests; or it is not loaded, and need not be.
        load_state: "loaded", "loading", "unloading", "unloaded" or "failed"; None if the gateway does not answer.
        error: why it could not be loaded.
        on_demand: it is loaded when a request needs it; None if the gateway does not answer.
        keeps_s: seconds for which it stays loaded without requests; None: as long as its memory is not needed.
        figures: its engine's metrics by field; empty when they cannot be read.
        requests: its finished requests by reason.
        memory_bytes: resident memory of its process; None when it cannot be read.
    """

    state: ModelState
    healthy: bool
    figures: Mapping[str, float]
    requests: Mapping[str, int]
    memory_bytes: int | None = None
    load_state: str | None = None
    error: str | None = None
    on_demand: bool | None = None
    keeps_s: float | None = None

    @property
    def files_changed(self) -> int:
        """How many of the model's files changed while the engine had them open."""
        return int(self.figures.get("files_changed", 0))


@dataclass(frozen=True)
class BoxStatus:
    """The status of the box at one moment.

    Attributes:
        up: the content of the state file.
        uptime_s: seconds since the supervisor started.
        models: each model that the box serves.
        gateway_healthy: the gateway answers.
        ready: the gateway accepts requests.
        memory_bytes: resident memory by process: "supervisor", "gateway", "triton", and "engine" for all models.
        disk: the disk of the root folder.
        board: temperatures and power of a Jetson; None on another machine.
        edge_llm: on a Jetson, how far the start of TensorRT Edge-LLM succeeds; None on another machine.
    """

    up: UpState
    uptime_s: float
    models: tuple[ModelStatus, ...]
    gateway_healthy: bool
    ready: bool
    memory_bytes: Mapping[str, int]
    disk: Disk
    board: Board | None = None
    edge_llm: EdgeLlm | None = None

    @property
    def healthy(self) -> bool:
        """Whether everything works."""
        answers = self.triton_healthy and self.gateway_healthy and self.ready
        return self.up.phase is Phase.SERVING and answers and not any(model.files_changed for model in self.models)

    @property
    def triton_healthy(self) -> bool:
        """Whether Triton answers, and the engine of each model accepts requests."""
        return all(model.healthy for model in self.models)

    @property
    def figures(self) -> Mapping[str, float]:
        """The metrics of all engines together, by field; empty when they cannot be read."""
        found = {}
        for metric in _PLAIN:
            if values := [model.figures[metric.field] for model in self.models if metric.field in model.figures]:
                found[metric.field] = metric.total(values)
        return found

    @property
    def requests(self) -> Mapping[str, int]:
        """Finished requests of all models by reason."""
        found: Counter[str] = Counter()
        for model in self.models:
            # Counter.update keeps reasons with no request; a sum of counters would drop them.
            found.update(model.requests)
        return found


def look(layout: Layout) -> BoxStatus | None:
    """Collect the status; None when no box runs.

    Raises:
        PermissionError: this user may not connect to the box; the state of the box is unknown.
    """
    up = state.read(layout.run)
    if up is None:
        return None
    socket = layout.gateway_socket
    if socket.exists() and not os.access(socket, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(socket))
    return asyncio.run(_look(layout, up))


async def hanging_engines(layout: Layout, models: Sequence[str]) -> list[str] | None:
    """The loaded models whose engine wrote no figures recently, or accepts no requests; None if Triton does not answer.

    The figures of a model that was unloaded are gone; those of a model whose process has died stay, and become old.
    """
    answer = await http.get(layout.triton_sockets / sockets.METRICS, "/metrics")
    if answer is None or answer[0] != http.OK:
        return None
    figures = {model: _of(model, parse(answer[1])) for model in models}
    suspects = [model for model, samples in figures.items() if samples and not is_alive(samples, time.time())]
    return await _ready(layout, suspects) if suspects else []


async def _ready(layout: Layout, models: Sequence[str]) -> list[str] | None:
    """Those of the models that Triton reports as ready: an engine that unloads accepts no requests."""
    # Only then is the client of Triton needed.
    from appliance.triton.health import TritonHealth  # noqa: PLC0415

    async with TritonHealth(layout.triton_sockets) as health:
        try:
            await health.version()
        except UnavailableError:
            return None
        return [model for model in models if await health.is_ready(model)]


def is_alive(samples: Sequence[Sample], now: float) -> bool:
    """Whether the figures of one model are recent and its engine accepts requests."""
    values = {sample.name: sample.value for sample in samples}
    age = now - values.get(UPDATED.name, 0.0)
    return abs(age) < STALE_S and values.get("appliance_accepts_requests") == 1.0


async def _look(layout: Layout, up: UpState) -> BoxStatus:
    board = read_board()
    samples, live, ready, gateway, edge_llm = await asyncio.gather(
        _samples(layout.triton_sockets / sockets.METRICS, _PATIENCE_S),
        http.status_of(layout.gateway_socket, "/health/live", _PATIENCE_S),
        http.status_of(layout.gateway_socket, "/health/ready", _PATIENCE_S),
        http.get(layout.gateway_socket, "/status", _PATIENCE_S),
        asyncio.to_thread(lambda: probe(layout.edge_llm) if board else None),
    )
    engines = _engines(up.triton_pid)
    loads = json.loads(gateway[1])["models"] if gateway and gateway[0] == http.OK else {}
    return BoxStatus(
        up=up,
        uptime_s=up.supervisor.age_s,
        models=tuple(
            _model(model, _of(model.name, samples), engines.get(model.name), loads.get(model.name, {}))
            for model in up.models
        ),
        gateway_healthy=live == http.OK,
        ready=ready == http.OK,
        memory_bytes=_memory(up, engines),
        disk=Disk.of(layout.run),
        board=board,
        edge_llm=edge_llm,
    )


def _of(model: str, samples: Sequence[Sample]) -> tuple[Sample, ...]:
    return tuple(sample for sample in samples if sample.labels.get("model") == model)


def _model(
    model: ModelState, samples: Sequence[Sample], memory_bytes: int | None, load: Mapping[str, Any]
) -> ModelStatus:
    values = {sample.name: sample.value for sample in samples}
    load_state = load.get("state")
    return ModelStatus(
        state=model,
        healthy=load_state in _RESTING or (load_state != _FAILED and is_alive(samples, time.time())),
        load_state=load_state,
        error=load.get("error"),
        on_demand=load.get("on_demand"),
        keeps_s=load.get("keeps_s"),
        figures={metric.field: values[metric.name] for metric in _PLAIN if metric.name in values},
        requests={s.labels["reason"]: int(s.value) for s in samples if s.name == "appliance_requests_total"},
        memory_bytes=memory_bytes,
    )


async def _samples(metrics: Path, timeout_s: float) -> tuple[Sample, ...]:
    answer = await http.get(metrics, "/metrics", timeout_s)
    return parse(answer[1]) if answer and answer[0] == http.OK else ()


def _engines(triton: int | None) -> dict[str, int]:
    """Resident memory of each model's process by model name, in bytes."""
    found: dict[str, int] = {}
    for model, process in model_processes(triton).items() if triton is not None else ():
        with suppress(psutil.Error):
            found[model] = process.memory_info().rss
    return found


def _memory(up: UpState, engines: Mapping[str, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, pid in (("supervisor", up.pid), ("gateway", up.gateway_pid), ("triton", up.triton_pid)):
        with suppress(psutil.Error):
            if pid is not None:
                found[name] = psutil.Process(pid).memory_info().rss
    return {**found, "engine": sum(engines.values())} if engines else found
