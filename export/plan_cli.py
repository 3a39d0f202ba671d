"""`appliance plan`: predicts memory and throughput of a model on a target. `estimate` computes the prediction."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Protocol

import click

from appliance import targets
from appliance.capacity import MemoryNeeds
from appliance.cli.output import json_option, print_json, table
from appliance.layout import Layout
from appliance.sizes import size
from export.estimate import Estimate, estimate
from export.prediction import EFFICIENCY, OnBoard, Speed


class Box(Protocol):
    """The object that the command line's root passes to its commands."""

    layout: Layout


@click.command(
    name="plan",
    short_help="Predict a model's memory and throughput on a target.",
    epilog="The formulas, and the measurements that they were compared with: docs/prediction.md.",
)
@click.argument("model")
@click.option("--target", default="cpu", show_default=True, help=f"Hardware: {', '.join(targets.targets())}.")
@click.option("--preset", help="Format of the weights. Default: the target's default preset.")
@click.option(
    "--context",
    type=click.IntRange(min=1),
    help="Maximum tokens of prompt plus completion. Default: the target's (4,096 for the CPU), at most the "
    "model's. The box serves max_context_tokens of appliance.toml.",
)
@click.option(
    "--slots",
    type=click.IntRange(min=1),
    help="Answers that the box generates at the same time. Default: the target's.",
)
@json_option
@click.pass_obj
def command(
    box: Box, model: str, target: str, preset: str | None, context: int | None, slots: int | None, as_json: bool
) -> None:
    """Predict memory and throughput of the installed MODEL on a target.

    The command predicts the memory of the weights and the cache, the slots and the context that fit, the memory that
    the export and a TensorRT build need, and the tokens/s in each power mode. It reads only the shapes of the
    checkpoint's tensors. If the model does not fit, the command fails and shows the calculation.
    """
    made = estimate(box.layout, model, target, preset, context_tokens=context, slots=slots)
    if as_json:
        print_json(_document(made))
    else:
        _show(made, has_usual_context=context is None)


def _document(made: Estimate) -> dict[str, Any]:
    return {
        "boards": [_board_document(each) for each in made.boards],
        "build_bytes": dict(zip(("least", "most"), made.building_bytes, strict=True)) if made.building_bytes else None,
        "cache_bytes_per_token": made.sizes.cache_bytes_per_token,
        "context_tokens": made.use.cache.context_tokens,
        "efficiency": EFFICIENCY,
        "export_bytes": made.export_bytes,
        "memory": _memory_document(made.cpu) if made.cpu else None,
        "model": made.model,
        "preset": made.preset,
        "read_bytes_per_step": made.sizes.read_bytes,
        "slots": made.use.slots,
        "target": made.target,
        "weights_bytes": made.sizes.weights_bytes,
    }


def _board_document(each: OnBoard) -> dict[str, Any]:
    return {
        "fits": each.fit.fits,
        "memory": _memory_document(each.fit.needs),
        "memory_bytes": each.board.memory_bytes,
        "most_context_tokens": each.most_context_tokens,
        "most_slots": each.most_slots,
        "name": each.board.name,
        "tokens_per_s": [
            {"all_slots": speed.all_slots, "mode": speed.mode, "one_stream": speed.one_stream, "watts": speed.watts}
            for speed in each.speeds
        ],
    }


def _memory_document(needs: MemoryNeeds) -> dict[str, int]:
    return {**asdict(needs), "total_bytes": needs.total_bytes}


def _show(made: Estimate, *, has_usual_context: bool) -> None:
    sizes, use = made.sizes, made.use
    shapes = f"{use.slots:,} slots of {use.cache.context_tokens:,} tokens"
    cache_bytes = use.cache.size_bytes(sizes.cache_bytes_per_token)
    click.echo(f"{made.model} for {made.target}, preset {made.preset}: {shapes}\n")
    rows = [
        ("weights", f"{size(sizes.weights_bytes)}, of which a step reads {size(sizes.read_bytes)}"),
        ("cache", f"{size(sizes.cache_bytes_per_token)} a token, {size(cache_bytes)} for {use.cache}"),
        ("export", f"{size(made.export_bytes)} of memory, on the machine that exports"),
    ]
    if has_usual_context:
        rows.insert(0, ("context", f"{use.cache.context_tokens:,} tokens: {_usual_context(made)}"))
    if made.building_bytes:
        least, most = made.building_bytes
        rows.append(("building the plan", f"{size(least)} to {size(most)} of memory, on the box"))
        rows += [("", _tight(each)) for each in made.boards if each.board.shared and least > each.board.memory_bytes]
    if made.cpu:
        rows.append(("serving", f"{size(made.cpu.total_bytes)} of memory"))
        rows.append(("speed", "is not predicted: no data sheet has the memory's bandwidth; make bench measures it"))
    table(None, rows)
    if made.boards:
        click.echo()
        _show_boards(made)


def _usual_context(made: Estimate) -> str:
    """Where the context comes from if nobody stated one, and what a box serves."""
    if made.building_bytes:
        return (
            "what a plan for this target is built for; for another: --context, and appliance tensorrt build --context"
        )
    return (
        f"an assumption; for another: --context. A box serves up to {made.sizes.context_tokens:,}, "
        "as its cache and max_context_tokens in appliance.toml permit"
    )


def _show_boards(made: Estimate) -> None:
    header = ("BOARD", "NEEDS", "OF", "MOST SLOTS", "MOST CONTEXT", "MODE", "1 STREAM", f"{made.use.slots} SLOTS")
    rows = [_cells(each, speed, is_first=not index) for each in made.boards for index, speed in enumerate(each.speeds)]
    table(header, rows)
    click.echo(
        f"\nTokens/s with every slot full, at {EFFICIENCY:.0%} of the memory's bandwidth. Models below some "
        "billions of weights,\nand many slots with 4-bit weights, are bounded by other things and get less: "
        "docs/prediction.md."
    )


def _cells(each: OnBoard, speed: Speed, *, is_first: bool) -> tuple[str, ...]:
    needs = f"{size(each.fit.needs.total_bytes)}{'' if each.fit.fits else ', too much'}"
    board = (
        each.board.name,
        needs,
        size(each.board.memory_bytes),
        f"{each.most_slots:,}",
        f"{each.most_context_tokens:,}",
    )
    return (*(board if is_first else ("",) * len(board)), speed.mode, _rate(speed.one_stream), _rate(speed.all_slots))


def _rate(tokens_per_s: float | None) -> str:
    return "unknown" if tokens_per_s is None else f"{tokens_per_s:,.0f}"


def _tight(each: OnBoard) -> str:
    return f"more than {each.board.name} has ({size(each.board.memory_bytes)}): give it swap space for the build"
