"""Progress: a bar on a terminal, plain lines elsewhere, never on standard output."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from appliance.cli.output import table
from appliance.cli.progress import progress, shown_progress


def test_plain_lines_are_few_and_end_with_the_whole(capsys: pytest.CaptureFixture[str]):
    with progress("storing x", 1_000_000) as advance:
        for _ in range(1000):
            advance(1000)
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == ""
    assert len(lines) == 4
    assert lines[-1] == "storing x: 1.0 MB of 1.0 MB"


def test_other_units_are_named(capsys: pytest.CaptureFixture[str]):
    with progress("quantising", 2, "layers") as advance:
        advance(1)
    assert capsys.readouterr().err == "quantising: 1 of 2 layers\n"


def test_steps_of_their_own_units_are_told_in_percent_and_notes_between_them(capsys: pytest.CaptureFixture[str]):
    with shown_progress() as shown:
        shown.step("verify", 0, 3)
        shown.note("waiting for another export to finish")
        shown.step("verify", 3, 3)
        shown.step("graph", 1, 2)
    assert capsys.readouterr().err == "waiting for another export to finish\nverify: 100 %\ngraph: 50 %\n"


def test_nothing_to_do_shows_nothing(capsys: pytest.CaptureFixture[str]):
    with progress("x", 0):
        pass
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("unit", ["bytes", "layers", "%"])
def test_a_terminal_gets_a_bar(unit: str):
    code = (
        "from appliance.cli.progress import progress\n"
        f"with progress('quantising', 100, {unit!r}) as advance: advance(100)\n"
    )
    ours, theirs = pty.openpty()
    environ = dict(os.environ) | {"TERM": "xterm", "COLUMNS": "120"}
    subprocess.run([sys.executable, "-c", code], stderr=theirs, check=True, env=environ)
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "quantising" in shown
    assert "━" in shown


def test_a_table_is_aligned(capsys: pytest.CaptureFixture[str]):
    table(("NAME", "SIZE"), [("a-long-name", "1"), ("b", "22")])
    assert capsys.readouterr().out == "NAME         SIZE\na-long-name  1\nb            22\n"
