"""Writes the metrics of the engine and of a Jetson board to Triton about twice a second. It measures nothing itself.

Each write waits for an answer of tritonserver. If tritonserver is killed, the writer waits for ever and holds the
interpreter's lock, so this process could not end and would keep its memory. So a kernel timer, which needs no lock,
ends the process if the writes stop.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Mapping
from typing import Any, Protocol

import triton_python_backend_utils as pb_utils

from appliance.engine.stats import EngineStats
from appliance.inference.events import FinishReason
from appliance.jetson import HeatWatch, figures
from appliance.metrics.names import BOARD, METRICS, UPDATED, Kind, Metric

_PERIOD_S = 0.5
_DEAD_AFTER_S = 15.0


class Source(Protocol):
    """An engine for text, or for pooling models."""

    def stats(self) -> EngineStats:
        """A snapshot."""


class Reporter:
    """A thread that copies `Source.stats()`, and a board's metrics if there is a board, to Triton's metric families."""

    def __init__(self, engine: Source, model: str, heat: HeatWatch | None) -> None:
        self._engine = engine
        self._heat = heat
        self._labels = {"model": model}
        metrics = (UPDATED, *METRICS, *(BOARD if heat else ()))
        self._families = {metric.name: _family(metric) for metric in metrics}
        self._metrics: dict[tuple[str, str], Any] = {}
        self._written: dict[tuple[str, str], float] = {}
        self._stop = threading.Event()
        self._report()
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and delete Triton's objects, which must not outlive the model."""
        self._stop.set()
        self._thread.join()
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._metrics.clear()
        self._families.clear()

    def _run(self) -> None:
        while not self._stop.wait(_PERIOD_S):
            self._report()

    def _report(self) -> None:
        stats = self._engine.stats()
        for metric in METRICS:
            value = getattr(stats, metric.field)
            if metric.label:
                self._write_each(metric, {reason.value: float(value.get(reason, 0)) for reason in FinishReason})
            else:
                self._write(metric, "", float(value))
        if self._heat:
            self._report_board(self._heat)
        self._write(UPDATED, "", time.time())
        # SIGALRM has no handler: its default action ends the process.
        signal.setitimer(signal.ITIMER_REAL, _DEAD_AFTER_S)

    def _report_board(self, heat: HeatWatch) -> None:
        found = figures(heat.board, heat.allowed())
        for metric in BOARD:
            value = found.get(metric.field, {})
            self._write_each(metric, value if isinstance(value, Mapping) else {"": float(value)})

    def _write_each(self, metric: Metric, values: Mapping[str, float]) -> None:
        """Write the time series of a metric. Triton cannot remove a series, so a gauge without a value becomes NaN."""
        for label, value in values.items():
            self._write(metric, label, value)
        for (name, label), before in tuple(self._written.items()):
            if name == metric.name and label not in values and metric.kind is Kind.GAUGE and not math.isnan(before):
                self._write(metric, label, math.nan)

    def _write(self, metric: Metric, label: str, value: float) -> None:
        key = (metric.name, label)
        if key not in self._metrics:
            labels = {**self._labels, metric.label: label} if metric.label else self._labels
            self._metrics[key] = self._families[metric.name].Metric(labels=labels)
        before = self._written.get(key)
        if value == before:
            # Each write is a message to another process.
            return
        if metric.kind is Kind.GAUGE:
            self._metrics[key].set(value)
        else:
            # Triton's counters can only be incremented.
            self._metrics[key].increment(value - (before or 0.0))
        self._written[key] = value


def _family(metric: Metric) -> Any:
    kind = pb_utils.MetricFamily.GAUGE if metric.kind is Kind.GAUGE else pb_utils.MetricFamily.COUNTER
    return pb_utils.MetricFamily(name=metric.name, description=metric.meaning, kind=kind)
