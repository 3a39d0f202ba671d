"""What came of one client: which of its calls passed."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.clients import calls
from tests.clients.client import Client
from tests.clients.environment import ROOT, Environment

# A client takes minutes on a slow machine; one that hangs takes for ever.
_LIMIT_S = 1800


@dataclass(frozen=True)
class Outcome:
    """One client's calls.

    Attributes:
        client: which.
        version: of its package; empty if it did not start.
        errors: each call that it tried, and the error that it ended with, None if it passed.
    """

    client: Client
    version: str
    errors: dict[str, str | None]

    @property
    def failures(self) -> dict[str, str]:
        """The calls that failed."""
        return {call: error for call, error in self.errors.items() if error is not None}


def run(client: Client, box: dict[str, str]) -> Outcome:
    """Make the calls of one client on the box that the variables describe."""
    command = Environment(client.lock).command(client)
    with tempfile.TemporaryDirectory(prefix="appliance-client-") as folder:
        report = Path(folder) / "report.jsonl"
        report.touch()
        # A home of its own: no client reads or changes the user's settings.
        own = {**os.environ, **box, calls.REPORT: str(report), "HOME": folder, "PYTHONPATH": ""}
        try:
            ended = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, timeout=_LIMIT_S, check=False)
            end = f"ended with {ended.returncode}: {ended.stderr.decode(errors='replace')[-2000:]}"
        except subprocess.TimeoutExpired:
            end = f"ran longer than {_LIMIT_S} s"
        lines = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
    errors = {line["call"]: line["error"] for line in lines if "call" in line}
    if not errors or end.startswith("ran") or not end.startswith("ended with 0"):
        errors["end"] = end
    return Outcome(client, next((line["version"] for line in lines if "version" in line), ""), errors)
