"""`appliance status`: prints the status of the running box on one page."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import click

from appliance.cli.box import Box
from appliance.cli.output import json_option, print_json
from appliance.errors import UnavailableError
from appliance.jetson import Board
from appliance.sizes import size
from appliance.supervisor.status import BoxStatus, ModelStatus, look

_LOADED = "loaded"
_HINT = "start it: appliance up MODEL"


@click.command("status")
@json_option
@click.pass_obj
def command(box: Box, as_json: bool) -> int:
    """Show health, load, memory and warnings on one page.

    With --json, `models` has the figures of each model by its name; the other figures are of the whole box.

    Exit code 0: the box is healthy. Exit code 13: the box is unhealthy or not running.
    """
    status = look(box.layout)
    if status is None:
        if as_json:
            print_json({"running": False, "healthy": False})
            return UnavailableError.exit_code
        raise UnavailableError("this box is not serving a model", hint=_HINT)
    if as_json:
        print_json(document(status))
    else:
        click.echo(page(status))
    return 0 if status.healthy else UnavailableError.exit_code


def document(status: BoxStatus) -> dict[str, Any]:
    """The status for scripts."""
    board, edge_llm = status.board, status.edge_llm
    return {
        "running": True,
        "healthy": status.healthy,
        "ready": status.ready,
        "uptime_s": round(status.uptime_s, 1),
        "box": {**status.up.to_mapping(), "pid": status.up.pid},
        "models": {model.state.name: _model(model) for model in status.models},
        "triton": {"healthy": status.triton_healthy},
        "gateway": {"healthy": status.gateway_healthy},
        "engine": dict(status.figures),
        "requests": dict(status.requests),
        "memory_bytes": dict(status.memory_bytes),
        "disk": dataclasses.asdict(status.disk),
        **({"board": {**dataclasses.asdict(board), "headroom_c": board.headroom_c}} if board else {}),
        **({"edge_llm": {**dataclasses.asdict(edge_llm), "state": edge_llm.state.value}} if edge_llm else {}),
    }


def _model(model: ModelStatus) -> dict[str, Any]:
    return {
        "healthy": model.healthy,
        "state": model.load_state,
        "error": model.error,
        "on_demand": model.on_demand,
        "keeps_s": model.keeps_s,
        "operators": model.state.operators,
        "engine": dict(model.figures),
        "requests": dict(model.requests),
        "memory_bytes": model.memory_bytes,
    }


def page(status: BoxStatus) -> str:
    """The status for people."""
    up = status.up
    rows = [
        ("box", f"{_mark(status.healthy)}, {up.phase.value}, up {timedelta(seconds=int(status.uptime_s))}"),
        ("gateway", _process(status.gateway_healthy, up.gateway_pid, up.gateway_restarts)),
        ("", f"{up.url}/v1, gRPC {up.grpc}"),
        ("triton", _process(status.triton_healthy, up.triton_pid, up.triton_restarts)),
        ("", f"{up.triton_version or 'unknown version'} of {up.triton_origin}"),
        *(row for model in status.models for row in _rows(model)),
        ("memory", ", ".join(f"{name} {size(count)}" for name, count in status.memory_bytes.items())),
        ("disk", f"{size(status.disk.free_bytes)} free"),
        *(_board(status.board) if status.board else ()),
        *([("edge-llm", str(status.edge_llm))] if status.edge_llm else ()),
    ]
    lines = [f"{name:<10}{value}" for name, value in rows]
    if up.triton_warning:
        lines.append(f"warning: {up.triton_warning}")
    lines += [
        f"warning: files of {model.state.name} were changed while it is served ({model.files_changed}): its answers "
        "are void; export the model again, then stop the box and start it"
        for model in status.models
        if model.files_changed
    ]
    if status.disk.is_full:
        lines.append(
            "warning: the disk of the root folder is full: the box still serves, but cannot write logs and state"
        )
    return "\n".join(lines)


def _rows(model: ModelStatus) -> list[tuple[str, str]]:
    """The model's name, variant and load."""
    figures, state = model.figures, model.state
    served = [
        ("model", state.label),
        ("artefact", f"{state.artefact_sha256[:12]}  {state.artefact}"),
        *([("operators", state.operators)] if state.operators else []),
        *([("process", _in_memory(model))] if model.memory_bytes is not None else []),
    ]
    if model.load_state not in {None, _LOADED}:
        return [*served, ("state", f"{model.load_state}{f': {model.error}' if model.error else ''}")]
    if not figures:
        return [*served, ("slots", "unknown")]
    used, total = (int(figures.get(name, 0)) for name in ("cache_tokens_used", "cache_tokens_total"))
    counts = ", ".join(f"{count} {reason}" for reason, count in sorted(model.requests.items()) if count)
    return [
        *served,
        ("slots", f"{figures.get('slots_busy', 0):.0f} of {figures.get('slots', 0):.0f} busy{_held_back(figures)}"),
        ("queue", f"{figures.get('queue_length', 0):.0f} waiting"),
        ("speed", f"{figures.get('tokens_per_second', 0):.1f} tokens/s over the last 10 s"),
        ("cache", f"{used} of {total} tokens"),
        ("requests", counts or "none yet"),
    ]


def _in_memory(model: ModelStatus) -> str:
    """The size of the model's process, and until when it stays."""
    assert model.memory_bytes is not None  # noqa: S101 - the caller checked it
    if model.on_demand is None:
        return size(model.memory_bytes)
    if not model.on_demand:
        return f"{size(model.memory_bytes)}, always loaded"
    if model.keeps_s is None:
        return f"{size(model.memory_bytes)}, loaded until its memory is needed"
    return f"{size(model.memory_bytes)}, unloaded in {timedelta(seconds=int(model.keeps_s))} if no request comes"


def _held_back(figures: Mapping[str, float]) -> str:
    allowed = figures.get("slots_allowed", figures.get("slots", 0))
    return f", {allowed:.0f} allowed at this temperature" if allowed < figures.get("slots", 0) else ""


def _board(board: Board) -> list[tuple[str, str]]:
    """The known values of a Jetson's board; unknown ones are left out."""
    name = [board.model or "Jetson", *([f"Jetson Linux {board.l4t}"] if board.l4t else [])]
    power = [f"mode {board.power_mode}"] if board.power_mode else []
    power += [f"{board.power_w:.1f} W"] if board.power_w is not None else []
    if board.gpu_hz is not None and board.gpu_max_hz is not None:
        power.append(f"GPU at {board.gpu_hz / 1e6:.0f} of {board.gpu_max_hz / 1e6:.0f} MHz")
    if board.overcurrent_events:
        power.append(f"throttled {board.overcurrent_events} times for overcurrent since the board started")
    hottest, headroom = board.hottest, board.headroom_c
    heat = [f"{hottest.celsius:.1f} °C in {hottest.name}"] if hottest else []
    heat += [f"{headroom:.1f} °C below the throttling limit"] if headroom is not None and headroom > 0 else []
    heat += [f"clocks lowered by {', '.join(board.throttled_by)}"] if board.throttled_by else []
    rows = [("board", name), ("power", power), ("heat", heat)]
    return [(title, ", ".join(parts)) for title, parts in rows if parts]


def _process(is_healthy: bool, pid: int | None, restarts: int) -> str:
    again = f", restarted {restarts} time{'s' if restarts > 1 else ''}" if restarts else ""
    return f"{_mark(is_healthy)}, process {pid or 'none'}{again}"


def _mark(is_healthy: bool) -> str:
    return "healthy" if is_healthy else "not healthy"
