"""Finds the processes of Triton's Python backend, one per model, by the program's path in their command line."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil

# A program is MODEL/VERSION/PROGRAM in the model repository.
VERSION = "1"
PROGRAM = "model.py"


def model_processes(triton: int) -> dict[str, psutil.Process]:
    """The living processes of a server's models by model name; empty if the server has ended."""
    found = {}
    with suppress(psutil.Error):
        for process in psutil.Process(triton).children():
            # A process that has ended has an empty command line.
            with suppress(psutil.Error):
                if model := _model_of(process.cmdline()):
                    found[model] = process
    return found


def _model_of(command: list[str]) -> str | None:
    for word in command:
        if Path(word).parts[-2:] == (VERSION, PROGRAM):
            return Path(word).parent.parent.name or None
    return None
