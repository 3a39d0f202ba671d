"""Writes the engine's figures into Triton's metrics about twice a second. It measures nothing itself.

Each write is answered by tritonserver. When tritonserver is killed, the writer waits for that answer for ever, holds
the interpreter's lock, and keeps this process and its memory from ending. So a timer of the kernel's, which needs no
lock, ends the process unless the writes go on.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Mapping
from typing import Any

import triton_python_backend_utils as pb_utils

from appliance.engine import Engine, FinishReason
from appliance.metrics.names import METRICS, UPDATED, Kind, Metric

_PERIOD_S = 0.5
_DEAD_AFTER_S = 15.0


class Reporter:
    """A named thread that copies `Engine.stats()` into Triton's metric families."""

    def __init__(self, engine: Engine, model: str) -> None:
        self._engine = engine
        self._labels = {"model": model}
        self._families = {metric.name: _family(metric) for metric in (UPDATED, *METRICS)}
        self._metrics: dict[tuple[str, str], Any] = {}
        self._written: dict[tuple[str, str], float] = {}
        self._stop = threading.Event()
        self._report()
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and let go of Triton's objects, which must not outlive the model."""
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
                self._write_each(metric, value)
            else:
                self._write(metric, "", float(value))
        self._write(UPDATED, "", time.time())
        # SIGALRM has no handler: its default is the end of the process.
        signal.setitimer(signal.ITIMER_REAL, _DEAD_AFTER_S)

    def _write_each(self, metric: Metric, values: Mapping[FinishReason, int]) -> None:
        for reason in FinishReason:
            self._write(metric, reason.value, float(values.get(reason, 0)))

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
            # Triton's counters only add.
            self._metrics[key].increment(value - (before or 0.0))
        self._written[key] = value


def _family(metric: Metric) -> Any:
    kind = pb_utils.MetricFamily.GAUGE if metric.kind is Kind.GAUGE else pb_utils.MetricFamily.COUNTER
    return pb_utils.MetricFamily(name=metric.name, description=metric.meaning, kind=kind)
