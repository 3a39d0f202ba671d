"""What a command of the CLI said and how it ended, run in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from appliance.cli.rim import run


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def caller(root: Path, noun: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Runs `appliance NOUN …` on the box at `root`."""

    def call(*words: str) -> Outcome:
        status = run(["--root", str(root), noun, *words])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return call
