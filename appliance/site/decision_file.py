"""Reads and writes one JSON file of the operator's decisions. Commands write it; the gateway reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from appliance import durable
from appliance.document import from_document
from appliance.errors import UsageError

Decisions = TypeVar("Decisions")


def read(kind: type[Decisions], path: Path) -> Decisions:
    """Return the content of the file; without a file, the defaults.

    Raises:
        UsageError: the file is unreadable, or it is not what `write` writes.
    """
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        document = {}
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read: {error}", hint="remove the file, and decide again") from error
    return from_document(kind, document, str(path))


def write(decisions: Any, path: Path) -> None:
    """Replace the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields: Mapping[str, Any] = asdict(decisions)
    durable.replace(path, (json.dumps(fields, indent=2) + "\n").encode())
