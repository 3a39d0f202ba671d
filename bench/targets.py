"""The targets of the appliance on a CPU, by row. The verdict in docs/performance.md is computed from them alone."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from bench.engines import ENGINE, WHOLE_PATH
from bench.tasks import EDIT, SUMMARY

# The mean KL divergence, in nats a token, up to which a peer counts as an opponent.
PEER_KL = 0.02


class Against(enum.Enum):
    """The opponent of a row."""

    BEST_PEER = "the best peer"
    LLAMA = "llama.cpp"
    ENGINE = "the bare engine"
    NOBODY = "an absolute limit"


@dataclass(frozen=True)
class Target:
    """One row.

    Attributes:
        what: title of the row.
        figure: name of the figure in the results.
        bound: for a rate, the minimum of our figure divided by the opponent's; for a cost, the maximum. Against nobody,
            the limit of our figure itself, in the figure's own unit.
        is_rate: larger is better; otherwise the figure is a cost.
        slack: for a cost: added to the limit, in the figure's own unit.
        kind: kind of the table with the figure.
        ours: key of our engine.
        against: the opponent.
        unit, scale, digits: for printing.
    """

    what: str
    figure: str
    bound: float
    is_rate: bool = True
    slack: float = 0.0
    kind: str = "main"
    ours: str = ENGINE.key
    against: Against = Against.BEST_PEER
    unit: str = "tokens/s"
    scale: float = 1.0
    digits: int = 1


_DECODE_1 = Target("decode, 1 stream, no speculation", "decode_1", 1.3)
_PREFILL = Target("prefill of 1,000", "prefill_1000", 1.3, digits=0)
_COST = Target("", "", 1.0, is_rate=False)
_COMPARED = (
    _DECODE_1,
    Target("decode, 1 stream, code editing", f"task_{EDIT}", 2.5, kind="use"),
    Target("decode, 1 stream, summaries", f"task_{SUMMARY}", 2.5, kind="use"),
    *(Target(f"decode, {count} streams", f"decode_{count}", 1.3) for count in (4, 8, 16)),
    _PREFILL,
    replace(_PREFILL, what="prefill of 8,000", figure="prefill_8000", kind="long"),
    replace(_COST, what="TTFT of 32, idle", figure="ttft_idle_s", bound=0.8, unit="ms", scale=1e3),
    replace(_COST, what="TTFT of 32 beside 8 streams", figure="ttft_busy_s", bound=0.8, unit="ms", scale=1e3),
)
_START = replace(
    _COST, what="start of the engine to first token", figure="start_s", unit="s", digits=2, against=Against.LLAMA
)
_MEMORY = replace(_COST, what="peak memory", figure="peak_bytes", unit="MB", scale=1e-6, digits=0)
_ROWS = (*_COMPARED, replace(_START, slack=0.3), _MEMORY)
_WHOLE_PATH = tuple(
    replace(row, what=f"whole path: {row.what}", bound=0.95, ours=WHOLE_PATH.key, against=Against.ENGINE)
    for row in _ROWS
    if row.is_rate and row.kind != "long"
)
_KL = Target("added mean KL", "mean_kl", 0.01, is_rate=False, against=Against.NOBODY, unit="nats", digits=4)

_LIMIT = replace(_KL, unit="s")
_UP = replace(_LIMIT, what="start of the box to first token", figure="start_s", ours=WHOLE_PATH.key, digits=2)
_OWN = replace(
    _LIMIT, what="memory beyond weights and cache", figure="own_bytes", bound=300e6, unit="MB", scale=1e-6, digits=0
)

TARGETS = (
    _KL,
    *_ROWS,
    *_WHOLE_PATH,
    replace(_LIMIT, what="start of the engine, absolute", figure="start_s", bound=0.8, digits=2),
    replace(_UP, bound=2.0),
    _OWN,
)

_LARGER_FACTOR = 1.1
# "Every row at least 1.1 times as good as the best peer": a cost is at most 1 / 1.1 of the opponent's.
LARGER_TARGETS = (
    _KL,
    *(
        replace(row, bound=_LARGER_FACTOR if row.is_rate else 1 / _LARGER_FACTOR, slack=0.0)
        for row in (*_COMPARED, _START, _MEMORY)
    ),
    replace(_DECODE_1, what="decode, 1 stream, against llama.cpp", bound=1.0, against=Against.LLAMA),
    *_WHOLE_PATH,
    replace(_UP, bound=5.0),
    _OWN,
)

# By model: the targets depend on its size.
TARGETS_OF = {"qwen2.5-coder-0.5b-instruct": TARGETS, "qwen2.5-coder-1.5b-instruct": LARGER_TARGETS}
