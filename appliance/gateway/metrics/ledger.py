"""Counts requests from their access log lines. It reads no prompt, no answer and no text from clients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

from appliance.gateway.metrics import table
from appliance.gateway.metrics.table import Measure
from appliance.metrics.names import Kind

OTHER = "other"
# OpenTelemetry's names for the operations of the endpoints that generate tokens.
_CHAT, _TEXT = "chat", "text_completion"
OPERATIONS = {
    "/v1/chat/completions": _CHAT,
    "/v1/responses": _CHAT,
    "/v1/messages": _CHAT,
    "/v1/completions": _TEXT,
    "/api/chat": _CHAT,
    "/api/generate": _TEXT,
    "appliance.v1.InferenceService/Chat": _CHAT,
    "appliance.v1.InferenceService/Complete": _TEXT,
    "inference.GRPCInferenceService/ModelInfer": _TEXT,
    "inference.GRPCInferenceService/ModelStreamInfer": _TEXT,
}
_CANCELLED = {"CANCELLED", 499, 0}
_FAILED = {"INTERNAL", "UNAVAILABLE", "UNKNOWN", "DEADLINE_EXCEEDED", "DATA_LOSS"}
_CLIENT_GONE = "ClientGoneError"
_CLIENT_ERRORS, _SERVER_ERRORS = 400, 500

# Without this, the creation time of each series would double the page.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Ledger:
    """The gateway's metrics since its start, in a separate registry."""

    def __init__(self, models: Iterable[str], in_flight: Callable[[], int], is_ready: Callable[[str], bool]) -> None:
        """Start at zero.

        Args:
            models: names of the served models; no other name becomes a label.
            in_flight: returns the number of running requests.
            is_ready: returns whether a model is ready.
        """
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._models = frozenset(models)
        self._made = {measure.name: _made(measure, self.registry) for measure in table.MEASURES}
        self._made[table.IN_FLIGHT.name].set_function(in_flight)
        for model in self._models:
            self._made[table.READY.name].labels(model).set_function(lambda model=model: is_ready(model))

    def tell_triton(self, *, up: bool) -> None:
        """Record whether Triton's metrics could be read."""
        self._made[table.TRITON_UP.name].set(up)

    def count(self, line: Mapping[str, Any]) -> None:
        """Count one request.

        Args:
            line: the fields of its access log line; `path` has a closed set of values.
        """
        endpoint, error = line["path"], line.get("error", "")
        self._made[table.REQUESTS.name].labels(endpoint, outcome(line)).inc()
        if error:
            self._made[table.REFUSALS.name].labels(error).inc()
        operation = OPERATIONS.get(endpoint)
        if operation is not None:
            self._measure(operation, line, error)

    def _measure(self, operation: str, line: Mapping[str, Any], error: str) -> None:
        model = line.get("model", "")
        model = model if model in self._models else ""
        self._made[table.DURATION.name].labels(operation, model, error).observe(line["duration_ms"] / 1000)
        if line.get("stream") and "ttft_ms" in line:
            self._made[table.FIRST_TOKEN.name].labels(operation, model).observe(line["ttft_ms"] / 1000)
        if "queue_ms" not in line:
            # The request did not finish, so the engine reported no usage.
            return
        made = line["completion_tokens"]
        self._made[table.TOKENS.name].labels(operation, model, "input").observe(line["prompt_tokens"])
        self._made[table.TOKENS.name].labels(operation, model, "output").observe(made)
        self._made[table.CACHED.name].labels(operation, model).inc(line["cached_tokens"])
        self._made[table.QUEUE.name].labels(model).observe(line["queue_ms"] / 1000)
        if made > 1:
            self._made[table.PER_TOKEN.name].labels(operation, model).observe(line["decode_ms"] / 1000 / (made - 1))


def outcome(line: Mapping[str, Any]) -> str:
    """How a request ended, from the fields of its access log line."""
    status, error = line.get("status", 0), line.get("error", "")
    if error == _CLIENT_GONE or (not error and status in _CANCELLED):
        return "cancelled"
    if isinstance(status, str):
        return "ok" if status == "OK" else "failed" if status in _FAILED else "refused"
    if _CLIENT_ERRORS <= status < _SERVER_ERRORS:
        return "refused"
    # If a stream fails after its status was sent, the line has both an error and the status 200.
    return "failed" if error or status >= _SERVER_ERRORS else "ok"


def _made(measure: Measure, registry: CollectorRegistry) -> Any:
    if measure.kind is Kind.HISTOGRAM:
        return Histogram(measure.name, measure.meaning, measure.labels, registry=registry, buckets=measure.buckets)
    kind = Counter if measure.kind is Kind.COUNTER else Gauge
    return kind(measure.name, measure.meaning, measure.labels, registry=registry)
