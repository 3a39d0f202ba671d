"""How the box is doing, gathered from its state file, its processes and Triton's metrics. It changes nothing."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from appliance import http
from appliance.disk import Disk
from appliance.edgellm import EdgeLlm, probe
from appliance.jetson import Board, read_board
from appliance.layout import Layout
from appliance.metrics import METRICS, Sample, parse
from appliance.metrics.names import SLOTS_ALLOWED, UPDATED
from appliance.supervisor import state
from appliance.supervisor.state import Phase, UpState
from appliance.triton import sockets

# Figures are written twice a second; older ones mean that the engine's process hangs or is gone.
STALE_S = 10.0
# A person waits for this page: on a busy machine a late answer is better than a false alarm.
_PATIENCE_S = 5.0


@dataclass(frozen=True)
class BoxStatus:
    """One look at the box.

    Attributes:
        up: what the supervisor says.
        uptime_s: since the supervisor started.
        triton_healthy: Triton answers, and the engine takes requests.
        gateway_healthy: the gateway answers.
        ready: the gateway would take a request now.
        figures: the engine's metrics by field; empty when they cannot be had.
        requests: finished requests by reason.
        memory_bytes: resident memory by process: "supervisor", "gateway", "triton", "engine".
        disk: of the root.
        board: heat and power of a Jetson; None on another machine.
        edge_llm: on a Jetson, how far TensorRT Edge-LLM comes up; None on another machine.
    """

    up: UpState
    uptime_s: float
    triton_healthy: bool
    gateway_healthy: bool
    ready: bool
    figures: Mapping[str, float]
    requests: Mapping[str, int]
    memory_bytes: Mapping[str, int]
    disk: Disk
    board: Board | None = None
    edge_llm: EdgeLlm | None = None

    @property
    def healthy(self) -> bool:
        """Whether everything works."""
        answers = self.triton_healthy and self.gateway_healthy and self.ready
        return self.up.phase is Phase.SERVING and answers and not self.files_changed

    @property
    def files_changed(self) -> int:
        """How many files of the model were changed under the engine."""
        return int(self.figures.get("files_changed", 0))


def look(layout: Layout) -> BoxStatus | None:
    """Gather the status; None when nothing runs.

    Raises:
        PermissionError: this user may not ask the box, which says nothing of how it is.
    """
    up = state.read(layout.run)
    if up is None:
        return None
    socket = layout.gateway_socket
    if socket.exists() and not os.access(socket, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(socket))
    return asyncio.run(_look(layout, up))


async def is_engine_alive(layout: Layout) -> bool:
    """Whether Triton answers and its engine wrote figures lately and takes requests."""
    return is_alive(await _samples(layout.triton_sockets / sockets.METRICS, http.TIMEOUT_S), time.time())


def is_alive(samples: tuple[Sample, ...], now: float) -> bool:
    """Judge the figures: fresh, and of an engine that takes requests."""
    values = {sample.name: sample.value for sample in samples}
    age = now - values.get(UPDATED.name, 0.0)
    return abs(age) < STALE_S and values.get("appliance_accepts_requests") == 1.0


async def _look(layout: Layout, up: UpState) -> BoxStatus:
    board = read_board()
    samples, live, ready, edge_llm = await asyncio.gather(
        _samples(layout.triton_sockets / sockets.METRICS, _PATIENCE_S),
        http.status_of(layout.gateway_socket, "/health/live", _PATIENCE_S),
        http.status_of(layout.gateway_socket, "/health/ready", _PATIENCE_S),
        asyncio.to_thread(lambda: probe(layout.edge_llm) if board else None),
    )
    plain = {metric.name: metric.field for metric in (*METRICS, SLOTS_ALLOWED) if not metric.label}
    return BoxStatus(
        up=up,
        uptime_s=up.supervisor.age_s,
        triton_healthy=is_alive(samples, time.time()),
        gateway_healthy=live == http.OK,
        ready=ready == http.OK,
        figures={plain[sample.name]: sample.value for sample in samples if sample.name in plain},
        requests={s.labels["reason"]: int(s.value) for s in samples if s.name == "appliance_requests_total"},
        memory_bytes=_memory(up),
        disk=Disk.of(layout.run),
        board=board,
        edge_llm=edge_llm,
    )


async def _samples(metrics: Path, timeout_s: float) -> tuple[Sample, ...]:
    answer = await http.get(metrics, "/metrics", timeout_s)
    return parse(answer[1]) if answer and answer[0] == http.OK else ()


def _memory(up: UpState) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, pid in (("supervisor", up.pid), ("gateway", up.gateway_pid), ("triton", up.triton_pid)):
        with suppress(psutil.Error):
            if pid is not None:
                process = psutil.Process(pid)
                found[name] = process.memory_info().rss
                if name == "triton":
                    found["engine"] = sum(child.memory_info().rss for child in process.children())
    return found
