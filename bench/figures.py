"""The rows of the tables: selection, order and formatting of figures, independent of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.results import Measured
from bench.summary import spread
from bench.tasks import EDIT, SUMMARY

NOTHING = "-"


@dataclass(frozen=True)
class Row:
    """One figure of all engines, a row of the tables.

    Attributes:
        title: title in the table, with the unit.
        figure: its name in the results.
        scale: factor for the printed value.
        digits: digits after the decimal point.
        is_quality: read the figure from the quality, not from the rounds.
    """

    title: str
    figure: str
    scale: float = 1.0
    digits: int = 0
    is_quality: bool = False

    def cell(self, engine: Measured) -> str:
        """The median over rounds, with minimum and maximum if there are several."""
        quality = engine.quality.get(self.figure) if self.is_quality else None
        values = ([] if quality is None else [quality]) if self.is_quality else engine.values(self.figure)
        found = spread([self.scale * value for value in values])
        if found is None:
            return NOTHING
        if len(values) == 1:
            return self._number(found.median)
        return f"{self._number(found.median)} ({self._number(found.low)}-{self._number(found.high)})"

    def _number(self, value: float) -> str:
        return f"{value:.{self.digits}f}"


_QUALITY = (
    Row("added mean KL (nats a token)", "mean_kl", digits=4, is_quality=True),
    Row("top-1 agreement (%)", "top1_agreement", scale=1e2, digits=1, is_quality=True),
)


def main_rows(work: Mapping[str, Any], *, has_energy: bool = False) -> list[Row]:
    """The rows of a main table, for the work that was measured; `has_energy`: the machine reports energy."""
    rows = [
        Row(f"decode, {count} stream{'s' if count > 1 else ''} (tokens/s)", f"decode_{count}", digits=1)
        for count in work["streams"]
    ]
    rows += [Row(f"prefill of {length:,} (tokens/s)", f"prefill_{length}") for length in work["prefill_tokens"]]
    return [
        *rows,
        Row(f"TTFT of {work['short_tokens']}, idle (ms)", "ttft_idle_s", scale=1e3),
        Row(f"TTFT of {work['short_tokens']} beside {work['busy_streams']} streams (ms)", "ttft_busy_s", scale=1e3),
        Row("gateway's share of TTFT, idle (%)", "gateway_ttft_share", scale=1e2, digits=1),
        Row(
            f"gateway's share of throughput, {work['busy_streams']} streams (%)",
            "gateway_rate_share",
            scale=1e2,
            digits=1,
        ),
        Row("`GET /v1/models` (requests/s)", "models_per_s"),
        Row("start to first token (s)", "start_s", digits=1),
        Row("peak memory (MB)", "peak_bytes", scale=1e-6),
        Row("beyond weights and cache (MB)", "own_bytes", scale=1e-6),
        *(
            Row(f"energy of {count} stream{'s' if count > 1 else ''} (J/token)", f"joules_{count}", digits=2)
            for count in work["streams"]
            if has_energy
        ),
        *_QUALITY,
    ]


def preset_rows(work: Mapping[str, Any]) -> list[Row]:
    """The figures of a table of candidates; there, they are the columns."""
    rates = [Row(f"decode {count} (tokens/s)", f"decode_{count}", digits=1) for count in work["streams"]]
    rates += [Row(f"prefill {length:,} (tokens/s)", f"prefill_{length}") for length in work["prefill_tokens"]]
    return [
        Row("MB", "size_bytes", scale=1e-6, is_quality=True),
        Row("mean KL", "mean_kl", digits=4, is_quality=True),
        Row("top-1 (%)", "top1_agreement", scale=1e2, digits=1, is_quality=True),
        Row("perplexity", "perplexity", digits=2, is_quality=True),
        *rates,
    ]


def long_rows(work: Mapping[str, Any]) -> list[Row]:
    """The rows of a table over prompt lengths."""
    lengths = work["prefill_tokens"]
    return [
        *(Row(f"prefill of {length:,} (tokens/s)", f"prefill_{length}") for length in lengths),
        *(Row(f"TTFT of {length:,} (s)", f"ttft_{length}", digits=2) for length in lengths),
        Row("peak memory (MB)", "peak_bytes", scale=1e-6),
        _QUALITY[0],
    ]


def use_rows() -> list[Row]:
    """The rows of a table of tasks and arriving requests."""
    return [
        Row("decode, 1 stream, code editing (tokens/s)", f"task_{EDIT}", digits=1),
        Row("decode, 1 stream, summaries (tokens/s)", f"task_{SUMMARY}", digits=1),
        Row("arriving requests: ITL, p50 (ms)", "itl_p50_s", scale=1e3, digits=1),
        Row("arriving requests: ITL, p99 (ms)", "itl_p99_s", scale=1e3, digits=1),
        Row("arriving requests: TTFT, p50 (ms)", "mixed_ttft_p50_s", scale=1e3),
        Row("arriving requests: TTFT, p99 (ms)", "mixed_ttft_p99_s", scale=1e3),
        _QUALITY[0],
    ]


def growth_rows(work: Mapping[str, Any]) -> list[Row]:
    """The rows of a table of the cost as work grows."""
    lengths = work["prefill_tokens"]
    return [
        *(Row(f"prefill of {length:,} (tokens/s)", f"prefill_{length}") for length in lengths),
        *(Row(f"TTFT of {length:,} (s)", f"ttft_{length}", digits=2) for length in lengths),
        *(
            Row(f"decode after {length:,} tokens, 1 stream (tokens/s)", f"decode_at_{length}", digits=1)
            for length in lengths
        ),
        *(
            Row(f"decode, {work['slots']} streams, {length:,} requests wait (tokens/s)", f"queue_{length}", digits=1)
            for length in work["queues"]
        ),
        Row("peak memory (MB)", "peak_bytes", scale=1e-6),
    ]
