"""Which process is meant: our own, one that ended, and the one whose name is made to confuse."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.running_process import RunningProcess, file_id


def test_we_are_alive_and_not_older_than_the_machine():
    own = RunningProcess.own()
    assert own.is_alive
    assert own == RunningProcess.own()
    assert own.age_s >= 0


@pytest.mark.parametrize("name", ["sleep", "a) S 1 1 (b"])
def test_a_process_is_alive_until_it_ends_whatever_it_is_called(tmp_path: Path, name: str):
    sleep = shutil.which("sleep")
    assert sleep
    program = tmp_path / name
    shutil.copy(sleep, program)
    code = "import os, sys; from appliance.running_process import RunningProcess as R; print(vars(R.own())); "
    code += "sys.stdout.flush(); os.execv(sys.argv[1], [sys.argv[1], '600'])"
    with subprocess.Popen([sys.executable, "-c", code, program], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        found = RunningProcess(**eval(child.stdout.readline()))  # noqa: S307 - our own child wrote it
        assert found.is_alive
        child.kill()
    assert not found.is_alive


def test_a_copy_is_another_file(tmp_path: Path):
    first = tmp_path / "a"
    first.write_text("x")
    shutil.copy2(first, tmp_path / "b")
    assert file_id(first) != file_id(tmp_path / "b")
