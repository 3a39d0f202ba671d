"""`python -m tests.clients.python.run MODULE PACKAGE`: makes the calls of one client and reports each."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import os
import sys
import traceback
from importlib.metadata import version
from pathlib import Path

from tests.clients import calls
from tests.clients.python.box import Box


def main(name: str, package: str) -> None:
    """Make the calls that the module, or its object `calls`, has functions for, in the order of the matrix."""
    module = importlib.import_module(f"tests.clients.python.{name}")
    box = Box.from_environment()
    with Path(os.environ[calls.REPORT]).open("a", encoding="utf-8", buffering=1) as report:
        report.write(json.dumps({"version": version(package)}) + "\n")
        for call in calls.CALLS:
            if function := getattr(module, call, getattr(getattr(module, "calls", None), call, None)):
                report.write(json.dumps({"call": call, "error": _error(function, box)}) + "\n")


def _error(function, box: Box) -> str | None:
    try:
        if inspect.iscoroutinefunction(function):
            asyncio.run(function(box))
        else:
            function(box)
    except Exception:  # noqa: BLE001 - a client may fail in any way
        return traceback.format_exc(limit=-6, chain=False)
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
