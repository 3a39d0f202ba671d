"""What another user of the machine is told: that a file is not theirs, never that it is broken or the box unwell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from appliance import unix_socket
from appliance.auth.key_file import KeyFile
from appliance.auth.keyring import Keyring
from appliance.supervisor import state
from tests.supervisor.states import STATE

_NOBODY = 65534
_NOT_PERMITTED = 14
# It runs the command once as us, on an absent root, for the imports: the other user may not read this Python's files.
_PROGRAM = f"""
import contextlib, io, os, pwd, sys
from appliance.cli.rim import run
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    run(["--root", sys.argv[1] + "/absent", *sys.argv[2:]])
os.setgroups([])
os.setresgid({_NOBODY}, {_NOBODY}, {_NOBODY})
os.setresuid({_NOBODY}, {_NOBODY}, {_NOBODY})
sys.exit(run(["--root", *sys.argv[1:]]))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A box of ours that another user can reach, with keys, a state and a socket."""
    if os.geteuid() != 0:
        pytest.skip("another user can be played by root alone")
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if folder != Path("/tmp"):  # noqa: S108 - it is open to all
            folder.chmod(0o755)
    KeyFile(tmp_path / "keys" / "keys.json").update(lambda _: (Keyring(), None))
    state.write(tmp_path / "run", STATE)
    unix_socket.listen(tmp_path / "run" / "gateway.sock").close()
    (tmp_path / "appliance.toml").write_text("")
    (tmp_path / "appliance.toml").chmod(0o600)
    return tmp_path


def _told(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _PROGRAM, str(root), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["key", "list"],
        ["key", "create", "x"],
        ["tls", "init"],
        ["up"],
        ["model", "remove", "x"],
    ],
    ids=" ".join,
)
def test_a_box_of_another_user_is_told_as_that(root: Path, words: list[str]):
    told = _told(root, *words, *([] if words == ["up"] else ["--json"]))
    assert told.returncode == _NOT_PERMITTED, told
    assert "as root" in told.stderr
    assert told.stdout == ""


def test_a_root_that_may_not_be_read_is_not_an_empty_box(root: Path):
    root.chmod(0o700)
    told = _told(root, "model", "list", "--json")
    assert told.returncode == _NOT_PERMITTED
    assert json.loads(told.stderr)["error"] == "NotPermittedError"
