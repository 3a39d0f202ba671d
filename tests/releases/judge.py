"""Says what a root serves, from its files alone: it shares no code with the programs that wrote them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

DAMAGED = "damaged"
NOTHING = "nothing"


def _served_plan(root: Path) -> str:
    """The name of the plan that is served."""
    current = _current(root / "engines" / "plans")
    if current is None:
        return NOTHING
    try:
        record = json.loads((current / "record.json").read_bytes())
        is_whole = _sha256(current / "plan") == record["sha256"]
    except (OSError, ValueError):
        return DAMAGED
    return current.name.partition(".")[0] if is_whole else DAMAGED


def _served_artefact(root: Path) -> str:
    """The publisher's licence in the manifest, which the tests make differ."""
    current = _current(root / "artefacts")
    if current is None:
        plain = list((root / "exports").glob("*/*/manifest.json"))
        if not plain:
            return NOTHING
        current = plain[0].parent
    try:
        manifest = json.loads((current / "manifest.json").read_bytes())
        listed = {entry["name"]: entry["sha256"] for entry in manifest["files"]}
        found = {path.name: _sha256(path) for path in current.iterdir() if path.name != "manifest.json"}
    except (OSError, ValueError):
        return DAMAGED
    return str(manifest["license"]) if found == listed else DAMAGED


def _current(folder: Path) -> Path | None:
    """Where the link of the only model's only variant leads."""
    # One that leads nowhere is found so too.
    links = [path for path in folder.glob("*/*/*") if path.name == "current"]
    if not links:
        return None
    (link,) = links
    return link.parent / link.readlink()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


SERVED: Mapping[str, Callable[[Path], str]] = {"plan": _served_plan, "artefact": _served_artefact}
