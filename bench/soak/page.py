"""Writes the results of a soak as a Markdown table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.markdown import table
from bench.soak.tally import Fate, Memory, Soaked


def page(soaked: Soaked) -> str:
    """The table, followed by the faults."""
    tally = soaked.tally
    rows = [
        ["requests", str(tally.requests)],
        *[[fate.value, str(tally.fates[fate])] for fate in Fate],
        *[[f"refused with {status}", str(count)] for status, count in sorted(tally.refusals.items())],
        ["differ from the answer to the question alone", str(tally.other_than_alone)],
        ["first piece of an answer, ms: median, 99 %, most", _spread_ms(tally.first_s)],
        ["`/v1/models` meanwhile, ms: median, 99 %, most", _spread_ms(tally.beside_s)],
        ["memory of the gateway, MiB: before, first half, second half", _memory(soaked.gateway)],
        ["memory of the box, MiB: before, first half, second half", _memory(soaked.box)],
        *[[what, str(count)] for what, count in sorted(tally.rude.items())],
    ]
    head = f"{soaked.clients} clients, {soaked.slots} slots, {soaked.queue} may wait, {soaked.seconds:g} s"
    faults = soaked.faults() or ["No answer was lost or crossed, and every refusal had a status."]
    return "\n\n".join([table([head, ""], rows), "\n".join(faults)])


def _spread_ms(values: Sequence[float]) -> str:
    if not values:
        return "none"
    return ", ".join(f"{1000 * value:.0f}" for value in (*np.percentile(values, [50, 99]), max(values)))


def _memory(memory: Memory) -> str:
    return ", ".join(f"{size / (1 << 20):.0f}" for size in (memory.before, memory.first_half, memory.second_half))
