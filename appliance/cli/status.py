"""`appliance status`: one page about the running box."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import click

from appliance.cli.box import Box
from appliance.cli.output import json_option, print_json, size
from appliance.errors import UnavailableError
from appliance.supervisor.status import BoxStatus, look

_HINT = "appliance up"


@click.command("status")
@json_option
@click.pass_obj
def command(box: Box, as_json: bool) -> int:
    """Show on one page how the box is doing.

    Exits with 0 when it is healthy, and with 13 when it is not, or not running.
    """
    status = look(box.layout)
    if status is None:
        if as_json:
            print_json({"running": False, "healthy": False})
            return UnavailableError.exit_code
        raise UnavailableError("nothing is being served on this box", hint=_HINT)
    if as_json:
        print_json(document(status))
    else:
        click.echo(page(status))
    return 0 if status.healthy else UnavailableError.exit_code


def document(status: BoxStatus) -> dict[str, Any]:
    """The status for scripts."""
    up = dataclasses.asdict(status.up)
    return {
        "running": True,
        "healthy": status.healthy,
        "ready": status.ready,
        "uptime_s": round(status.uptime_s, 1),
        "box": {**up, "phase": status.up.phase.value},
        "triton": {"healthy": status.triton_healthy},
        "gateway": {"healthy": status.gateway_healthy},
        "engine": dict(status.figures),
        "requests": dict(status.requests),
        "memory_bytes": dict(status.memory_bytes),
    }


def page(status: BoxStatus) -> str:
    """The status for people."""
    up = status.up
    rows = [
        ("box", f"{_mark(status.healthy)}, {up.phase.value}, up {timedelta(seconds=int(status.uptime_s))}"),
        ("model", f"{up.model} ({up.target}-{up.preset})"),
        ("artefact", f"{up.artefact_sha256[:12]}  {up.artefact}"),
        ("gateway", _process(status.gateway_healthy, up.gateway_pid, up.gateway_restarts)),
        ("", f"{up.url}/v1, gRPC {up.grpc}"),
        ("triton", _process(status.triton_healthy, up.triton_pid, up.triton_restarts)),
        ("", f"{up.triton_version or 'unknown version'} of {up.triton_origin}, gRPC {up.triton_grpc}"),
        *_load(status),
        ("memory", ", ".join(f"{name} {size(count)}" for name, count in status.memory_bytes.items())),
    ]
    lines = [f"{name:<10}{value}" for name, value in rows]
    if up.triton_warning:
        lines.append(f"warning: {up.triton_warning}")
    return "\n".join(lines)


def _load(status: BoxStatus) -> list[tuple[str, str]]:
    figures = status.figures
    if not figures:
        return [("slots", "unknown")]
    used, total = (int(figures.get(name, 0)) for name in ("cache_tokens_used", "cache_tokens_total"))
    counts = ", ".join(f"{count} {reason}" for reason, count in sorted(status.requests.items()) if count)
    return [
        ("slots", f"{figures.get('slots_busy', 0):.0f} of {figures.get('slots', 0):.0f} busy"),
        ("queue", f"{figures.get('queue_length', 0):.0f} waiting"),
        ("speed", f"{figures.get('tokens_per_second', 0):.1f} tokens/s over the last 10 s"),
        ("cache", f"{used} of {total} tokens"),
        ("requests", counts or "none yet"),
    ]


def _process(is_healthy: bool, pid: int | None, restarts: int) -> str:
    again = f", started again {restarts} time{'s' if restarts > 1 else ''}" if restarts else ""
    return f"{_mark(is_healthy)}, process {pid or 'none'}{again}"


def _mark(is_healthy: bool) -> str:
    return "healthy" if is_healthy else "not healthy"
