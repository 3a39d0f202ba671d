"""Keeps the record of a drill: one JSON file, named after its time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from appliance import __version__, durable
from appliance.cli.drill.rehearsal import Rehearsed


def document(route: str, models: Sequence[str], rehearsed: Sequence[Rehearsed]) -> dict[str, Any]:
    """The record as JSON values."""
    return {
        "drill": "fallback",
        "appliance": __version__,
        "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "route": route,
        "models": list(models),
        "triggers": [{**asdict(one), "has_passed": one.has_passed} for one in rehearsed],
    }


def keep(record: dict[str, Any], folder: Path) -> Path:
    """Write the record into the folder; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    time = record["at"].replace(":", "").partition("+")[0]
    path = folder / f"fallback-{time}.json"
    durable.replace(path, (json.dumps(record, indent=2) + "\n").encode())
    return path
