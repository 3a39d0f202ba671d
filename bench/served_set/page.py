"""The table of a measured set, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from bench.markdown import table
from bench.served_set.run import Measured, percentile

_MB = 1e6
_HEAD = (
    "threads",
    "chat alone",
    "beside idle",
    "beside load",
    "ITL p99 alone",
    "ITL p99 beside load",
    "texts/s alone",
    "texts/s beside chat",
    "overhead",
)


def page(machine: Mapping[str, str], measured: Mapping[str, Measured]) -> str:
    """The machine and the medians: tokens/s of one stream, its share of the rate alone, milliseconds, texts/s, MB."""
    rows = [
        (
            name,
            f"{median(found.alone):.1f}",
            _beside(found.idle, found.alone),
            _beside(found.busy, found.alone),
            f"{1e3 * percentile(found.alone_gaps, 99):.1f} ms",
            f"{1e3 * percentile(found.busy_gaps, 99):.1f} ms",
            f"{median(found.texts):.1f}",
            f"{median(found.texts_beside):.1f}",
            f"{median(found.overhead_bytes) / _MB:.0f} MB",
        )
        for name, found in measured.items()
    ]
    return f"{table(('machine', ''), list(machine.items()))}\n\n{table(_HEAD, rows)}\n"


def _beside(rates: list[float], alone: list[float]) -> str:
    return f"{median(rates):.1f} ({median(rates) / median(alone):.2f})"
