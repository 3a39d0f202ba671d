"""The results of a run on a GPU, and their tables in Markdown. Every number comes from a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.gpu.rates import Rates
from bench.markdown import table


@dataclass(frozen=True)
class Measured:
    """One model's shape with one preset.

    Attributes:
        shape, preset: names of the shape and the preset.
        decode_s: seconds of a decoding step, by number of streams.
        step_bytes: bytes of weights and cache that the step reads, by number of streams.
        prefill_s: seconds of the long prompt's prefill.
        prefill_flops: operations of its matrix products.
        peer_tokens_per_s: transformers with a static cache and torch.compile, by number of streams; empty if absent.
        why_not: why figures are missing; empty if none are.
    """

    shape: str
    preset: str
    decode_s: Mapping[int, float]
    step_bytes: Mapping[int, int]
    prefill_s: float | None
    prefill_flops: float
    peer_tokens_per_s: Mapping[int, float]
    why_not: str = ""


def page(machine: Mapping[str, str], rates: Rates, work: Mapping[str, int], measured: Sequence[Measured]) -> str:
    """All results in Markdown.

    Args:
        machine: name and value of each property, in order.
        rates: the hardware's limits.
        work: `context`, rows before each step; `prompt`, tokens of the long prompt; `steps`, number of timed steps.
        measured: one row each.
    """
    streams = sorted({number for each in measured for number in each.decode_s})
    head = ["shape, preset"]
    for number in streams:
        head += [f"{number} streams, tokens/s", "of the roofline", "transformers"]
    head += [f"prefill of {work['prompt']:,}, tokens/s", "of the matrix rate"]
    roof = (
        f"Memory: {rates.bytes_per_s / 1e9:,.0f} GB/s through an element-wise operator. Matrices: "
        f"{rates.flops / 1e12:,.2f} TFLOP/s in a square product. Random weights, {work['context']:,} rows of context, "
        f"median of {work['steps']} steps; choosing the token is part of a step."
    )
    rows = table(head, [_row(each, streams, rates, work) for each in measured])
    lines = [table(("machine", ""), list(machine.items())), "", roof, "", rows]
    lines += [f"\n- {each.shape}, {each.preset}: **{each.why_not}**" for each in measured if each.why_not]
    return "\n".join(lines) + "\n"


def _row(each: Measured, streams: Sequence[int], rates: Rates, work: Mapping[str, int]) -> list[str]:
    cells = [f"{each.shape}, {each.preset}"]
    for number in streams:
        seconds = each.decode_s.get(number)
        peer = each.peer_tokens_per_s.get(number)
        if seconds is None:
            cells += ["", ""]
        else:
            share = each.step_bytes[number] / seconds / rates.bytes_per_s
            cells += [f"{number / seconds:,.0f}", f"{share:.0%}"]
        cells.append("absent" if peer is None else f"{peer:,.0f}")
    if each.prefill_s is None:
        return [*cells, "", ""]
    return [
        *cells,
        f"{work['prompt'] / each.prefill_s:,.0f}",
        f"{each.prefill_flops / each.prefill_s / rates.flops:.0%}",
    ]
