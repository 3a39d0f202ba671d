"""What a child creates is its owner's alone, even where it says otherwise."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from pathlib import Path

from appliance.child import Child
from appliance.triton.private_files import narrow, umask_that_holds
from tests.other_user import as_nobody, needs_root

# What boost::interprocess does for Triton's Python backend.
_AS_BOOST = """
import os, subprocess, sys
descriptor = os.open(sys.argv[1], os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)
os.fchmod(descriptor, 0o644)
if len(sys.argv) > 2:
    subprocess.run([sys.executable, "-c", sys.argv[2], sys.argv[1] + "-2"], check=True)
"""


def test_a_child_and_its_children_cannot_open_their_files_to_others(tmp_path: Path):
    async def run() -> None:
        command = [sys.executable, "-c", _AS_BOOST, str(tmp_path / "file"), _AS_BOOST]
        child = await Child.start("it", command, tmp_path / "log", before=umask_that_holds())
        ended = await child.wait()
        assert ended.status == 0, (tmp_path / "log").read_text()

    asyncio.run(run())
    for name in ("file", "file-2"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


@needs_root
def test_it_holds_for_a_user_without_rights_too():
    before = umask_that_holds()

    def attempt() -> int:
        before()
        descriptor = os.open("/dev/shm", os.O_TMPFILE | os.O_RDWR, 0o644)  # noqa: S108 - where Triton's files are
        os.fchmod(descriptor, 0o644)
        return stat.S_IMODE(os.fstat(descriptor).st_mode)

    assert as_nobody(attempt) == 0o600


def test_what_a_kernel_without_filters_leaves_open_is_closed_and_told(tmp_path: Path):
    for name in ("ours-1", "ours-2", "theirs"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o644)
    (tmp_path / "ours-2").chmod(0o600)
    assert narrow(tmp_path, "ours-")
    assert not narrow(tmp_path, "ours-")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"ours-1": 0o600, "ours-2": 0o600, "theirs": 0o644}
