"""Every set of kernels against scalar references: `native/conformance.cpp`."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest

from appliance.ops.machine import this_machine
from tests.ops.programs import compiled

MACHINE = this_machine()
pytestmark = pytest.mark.skipif(MACHINE is None, reason=f"no operators for {platform.machine()}")
_MOST_SECONDS = 500


def _run(*command: str | Path) -> list[str]:
    """The lines of a program that finds no difference."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_MOST_SECONDS)
    assert ended.returncode == 0, "\n".join([*ended.stdout.splitlines()[-3:], *ended.stderr.splitlines()[:40]])
    return ended.stdout.splitlines()


def _checked(lines: list[str]) -> set[str]:
    """The sets of kernels that ran."""
    return {line.partition(":")[0] for line in lines if line.endswith(": ok")} - {"choice"}


def test_all_kernels_of_this_cpu_have_the_bits_of_the_references():
    assert MACHINE is not None
    lines = _run(compiled(MACHINE.triple))
    chosen = lines[0].removeprefix("chosen: ")
    assert _checked(lines) or chosen == "none"
    assert chosen in _checked(lines) | {"none"}
