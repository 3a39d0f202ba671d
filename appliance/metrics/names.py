"""All metrics of the engine: name, kind and meaning. Triton's metrics port publishes them."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

PREFIX = "appliance_"


class Kind(enum.Enum):
    """The Prometheus metric types that the appliance uses. The engine has no histograms."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Metric:
    """One metric. Every metric has the label `model`.

    Attributes:
        field: name of the value in the engine's statistics.
        kind: see Kind.
        meaning: one line of help.
        label: a further label, with one time series for each of its values; empty for none.
        total: combines the values of all models into one value for the box.
    """

    field: str
    kind: Kind
    meaning: str
    label: str = ""
    total: Callable[[Iterable[float]], float] = sum

    @property
    def name(self) -> str:
        """The metric's name in the exposition."""
        return PREFIX + self.field


# Not a value of the engine: the time of the last write, so that a reader can detect a process that hangs.
UPDATED = Metric("updated_seconds", Kind.GAUGE, "Unix time of the last update of the engine's metrics")

METRICS = (
    Metric(
        "accepts_requests",
        Kind.GAUGE,
        "1 while the engine accepts requests; 0 during shutdown and after a failure",
        total=min,
    ),
    Metric("slots", Kind.GAUGE, "Sequences that may run at the same time"),
    Metric("slots_busy", Kind.GAUGE, "Sequences that run now"),
    Metric("queue_length", Kind.GAUGE, "Requests that wait for a slot"),
    Metric("cache_tokens_used", Kind.GAUGE, "Tokens in the KV cache, including cached prefixes"),
    Metric("cache_tokens_total", Kind.GAUGE, "Capacity of the KV cache in tokens"),
    Metric("max_context_tokens", Kind.GAUGE, "Longest prompt plus completion", total=min),
    Metric("tokens_per_second", Kind.GAUGE, "Completion tokens per second over the last 10 seconds"),
    Metric(
        "files_changed",
        Kind.GAUGE,
        "Files of the model that changed while the engine uses them: its answers are not valid",
    ),
    Metric("rss_bytes", Kind.GAUGE, "Resident memory of the engine's process"),
    Metric("prompt_tokens_total", Kind.COUNTER, "Prompt tokens of finished requests"),
    Metric("completion_tokens_total", Kind.COUNTER, "Generated tokens"),
    Metric("cached_tokens_total", Kind.COUNTER, "Prompt tokens found in the prefix cache"),
    Metric("steps_total", Kind.COUNTER, "Steps of the engine (runs of the graph)"),
    Metric("draft_tokens_total", Kind.COUNTER, "Tokens of drafts that the engine verified (speculation)"),
    Metric("accepted_draft_tokens_total", Kind.COUNTER, "Tokens of drafts that were right"),
    Metric("preemptions_total", Kind.COUNTER, "Sequences preempted because the KV cache was full"),
    Metric("requests_total", Kind.COUNTER, "Finished requests", label="reason"),
)

# Metrics of the board: only on a Jetson, and only values that the board reports.
SLOTS_ALLOWED = Metric("slots_allowed", Kind.GAUGE, "Sequences that may run at the current temperature of the board")
BOARD = (
    SLOTS_ALLOWED,
    Metric("board_temperature_celsius", Kind.GAUGE, "Temperature of a thermal zone", label="zone"),
    Metric("board_headroom_celsius", Kind.GAUGE, "Degrees until the first thermal zone throttles a clock"),
    Metric("board_throttled", Kind.GAUGE, "1 while heat throttles a clock"),
    Metric("board_overcurrent_total", Kind.COUNTER, "Throttling events because of current or voltage"),
    Metric("board_power_watts", Kind.GAUGE, "Power consumption of the module"),
    Metric("board_gpu_hertz", Kind.GAUGE, "Clock frequency of the GPU"),
    Metric("board_power_mode", Kind.GAUGE, "1 for the active power mode", label="mode"),
)


def reference() -> str:
    """The tables of the engine and the board as Markdown, for `docs/metrics.md`."""
    lines = [
        "## Metrics of the engine",
        "",
        "The engine publishes these metrics through Triton. Each has the label `model`.",
        "",
        *_rows(UPDATED, *METRICS),
        "",
        "## Metrics of a Jetson board",
        "",
        "These metrics exist only on a Jetson. They also have the label `model`. If the board does not report a value,",
        "its metric is absent. [jetson.md](jetson.md) lists the source of each value.",
        "",
        *_rows(*BOARD),
    ]
    return "\n".join(lines) + "\n"


def _rows(*metrics: Metric) -> Iterator[str]:
    yield "| metric | kind | further label | meaning |"
    yield "|---|---|---|---|"
    for metric in metrics:
        label = f"`{metric.label}`" if metric.label else ""
        yield f"| `{metric.name}` | {metric.kind.value} | {label} | {metric.meaning} |"
