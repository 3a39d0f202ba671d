"""The outer rim: one line a failure, a hint, and the exit code that belongs to it."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from appliance.cli import rim, root
from appliance.errors import ApplianceError, IntegrityError, UnknownModelError
from appliance.lock import locked
from tests.waiting import LIMIT_S


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch):
    """Make `appliance completion` raise what is given."""

    def make(error: BaseException) -> None:
        def fail() -> None:
            raise error

        monkeypatch.setattr(root.command, "get_command", lambda *_: click.Command("completion", callback=fail))

    return make


def test_a_failure_is_one_line_with_a_hint(failing, capsys: pytest.CaptureFixture[str]):
    failing(IntegrityError("weights.gguf has sha256 1, not 2", hint="pull it again"))
    assert rim.run(["completion"]) == 8
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "error: weights.gguf has sha256 1, not 2\n  hint: pull it again\n"


def test_a_failure_is_one_json_object_when_scripts_look(capsys: pytest.CaptureFixture[str]):
    assert rim.run(["model", "pull", "nope", "--json"]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    document = json.loads(captured.err)
    assert document["error"] == "UnknownModelError"
    assert document["exit_code"] == UnknownModelError.exit_code
    assert document["message"]
    assert document["hint"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["nope"], "see appliance --help"),
        (["staus"], "did you mean 'status'"),
        (["model", "lst"], "did you mean 'list'"),
        (["up", "--htp", "x"], "--http"),
        (["--nope"], "see appliance --help"),
        (["model", "nope"], "see appliance model --help"),
        (["model"], "error: a command is missing\n  hint: see appliance model --help\n"),
        (["model", "show"], "see appliance model show --help"),
        (["completion", "tcsh"], "see appliance completion --help"),
    ],
)
def test_wrong_words_exit_with_2_and_say_where_help_is(words, hint, capsys: pytest.CaptureFixture[str]):
    assert rim.run(words) == 2
    assert hint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "code", "hint"),
    [
        (errno.ENOSPC, 4, "disk space"),
        (errno.EACCES, 14, "the owner"),
        (errno.EPERM, 14, "the owner"),
        (errno.EROFS, 2, "--root"),
        (errno.EISDIR, 2, "--root"),
        (errno.EIO, 1, ""),
    ],
)
def test_trouble_with_the_disk_is_told_in_words(failing, capsys: pytest.CaptureFixture[str], number, code, hint):
    failing(OSError(number, os.strerror(number), "/somewhere"))
    assert rim.run(["completion"]) == code
    error = capsys.readouterr().err
    assert f"error: {os.strerror(number)}: /somewhere" in error
    assert hint in error


def test_a_file_that_may_not_be_opened_is_told_as_that_whatever_was_made_of_it(
    failing, capsys: pytest.CaptureFixture[str]
):
    error = IntegrityError("keys.json cannot be used", hint="delete it and create new keys")
    error.__cause__ = PermissionError(errno.EACCES, "Permission denied", "/")
    failing(error)
    assert rim.run(["completion"]) == 14
    told = capsys.readouterr().err
    assert "error: Permission denied: /" in told
    assert "as root, the owner" in told
    assert "delete" not in told


def test_an_interrupt_exits_with_130(failing, capsys: pytest.CaptureFixture[str]):
    failing(KeyboardInterrupt())
    assert rim.run(["completion"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_bug_keeps_its_traceback(failing):
    failing(ZeroDivisionError("oops"))
    with pytest.raises(ZeroDivisionError):
        rim.run(["completion"])


def test_a_failure_without_a_code_of_its_own_exits_with_1(failing):
    failing(ApplianceError("odd"))
    assert rim.run(["completion"]) == 1


def test_success_exits_with_0(capsys: pytest.CaptureFixture[str]):
    assert rim.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("appliance ")


def test_a_reader_that_goes_away_causes_no_traceback(tmp_path: Path):
    command = [sys.executable, "-m", "appliance.cli", "--root", str(tmp_path), "model", "list"]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 1


def test_ctrl_c_on_the_real_process_exits_with_130(tmp_path: Path):
    # A pull that waits for a lock which this test holds.
    environ = dict(os.environ) | {"APPLIANCE_CACHE": str(tmp_path / "cache"), "PIP_CONFIG_FILE": os.devnull}
    command = [sys.executable, "-m", "appliance.cli", "--root", str(tmp_path), "model", "pull", "gemma-3-270m"]
    with locked(tmp_path / "cache" / "downloads" / "gemma-3-270m.lock"):
        child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environ)
        assert child.stderr is not None
        assert "waiting" in child.stderr.readline()
        # The line comes just before the process blocks in the kernel.
        time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        assert child.wait(LIMIT_S) == 130
        assert child.stderr.read().strip() == "interrupted"
        child.stderr.close()
