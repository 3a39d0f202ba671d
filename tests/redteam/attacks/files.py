"""Files that somebody has changed, each kind read in a process of its own that may take one more gigabyte."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.cli import test_hints
from tests.redteam.attack import Attack, Broke, expect
from tests.redteam.box import AttackedBox

_REPOSITORY = Path(__file__).resolve().parents[3]


def _changed(module: str) -> Callable[[AttackedBox], str]:
    """A program that tries changed files, and prints a line of JSON for each that was neither read nor refused."""

    def run(box: AttackedBox) -> str:
        words = [sys.executable, "-m", module, str(box.seed)]
        ended = subprocess.run(words, cwd=_REPOSITORY, capture_output=True, text=True, check=False, env=os.environ)
        if ended.returncode != 0:
            raise Broke(f"it ended with {ended.returncode}: {ended.stderr[-600:]}")
        *faults, counts = map(json.loads, ended.stdout.splitlines())
        expect(not faults, f"{len(faults)} of them, the first: {faults[:1]}")
        return f"{counts['read']} read, {counts['refused']} refused, within a gigabyte"

    return run


def hints(_box: AttackedBox) -> str:
    """No hint names a package `appliance` of an index, where anybody may publish one."""
    told = [
        f"{where}: {text}" for where, text in test_hints._hints() if "pip install appliance" in text.replace("'", "")
    ]
    expect(not told, f"{told}")
    return "no hint installs a package of that name from an index"


ATTACKS = (
    Attack("changed checkpoints", "R13", _changed("tests.export.mutants")),
    Attack("changed files of the box", "R13 R15 R16", _changed("tests.redteam.changed_files")),
    Attack("hints that install from an index", "R6", hints),
)
