"""A box whose disk is full keeps serving and starts its parts again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.running_box import RunningBox

# Mounts a small disk that nobody else sees and that is gone with the program.
_ON_A_SMALL_DISK = 'mount -t tmpfs -o size=32m none "$1" && exec "$0" -m tests.cli.full_disk "$1"'


@pytest.mark.triton
def test_a_box_on_a_full_disk_serves_restarts_its_parts_tells_and_recovers(tmp_path: Path):
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here: it takes root and `unshare -m`")
    command = ["unshare", "-m", "sh", "-c", _ON_A_SMALL_DISK, sys.executable, tmp_path]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "held\n"), ran.stderr


@pytest.mark.triton
def test_a_box_that_has_no_place_for_its_words_serves_and_ends_in_order(tmp_path: Path):
    box = RunningBox(tmp_path)
    box.output.symlink_to("/dev/full")
    with box:
        with box.completion(max_tokens=1, ignore_eos=True) as answer:
            assert answer.status == 200
        box.process.terminate()
        assert box.process.wait() == 0
