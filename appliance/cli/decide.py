"""Puts the operator's decision into effect: writes its file, and tells a box that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from appliance.cli import gateway
from appliance.cli.box import Box
from appliance.supervisor import state


class Decision(Protocol):
    """The content of a file of decisions."""

    def save(self, path: Path) -> None:
        """Replace the file."""


def decide(box: Box, decision: Decision, path: Path) -> None:
    """Replace the file, and let the running box take it over.

    Raises:
        UnavailableError: the running box does not answer; the file is written, and its next start uses it.
        OSError: the file cannot be written.
    """
    decision.save(path)
    if state.read(box.layout.run) is not None:
        gateway.order(box, "/decisions")
