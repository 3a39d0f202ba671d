"""A real box on a small disk that is filled while it serves: `python -m tests.cli.full_disk ROOT`, ROOT an empty disk.

It runs in a mount namespace of its own, see test_full_disk.py, and ends with 0 when all held.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from tests.running_box import RunningBox
from tests.waiting import wait_until


def _fill(path: Path) -> None:
    with suppress(OSError), path.open("ab", buffering=0) as stream:
        while True:
            stream.write(bytes(1 << 20))
    with suppress(OSError), path.open("ab", buffering=0) as stream:
        while True:
            stream.write(b"x")


def _answers(box: RunningBox) -> bool:
    with suppress(OSError), box.completion(max_tokens=1, ignore_eos=True) as answer:
        return bool(answer.status == 200)
    return False


def main(root: Path) -> None:
    """Fill the disk, end each part by force, look, free the disk, stop."""
    with RunningBox(root) as box:
        before = box.state
        _fill(root / "filler")
        for pid in (before.triton_pid, before.gateway_pid):
            box.kill(pid)
            wait_until(lambda pid=pid: not Path(f"/proc/{pid}").exists())
            wait_until(lambda: _answers(box))
        told = box.call("status")
        assert "is full" in told.stdout, told
        assert json.loads(box.call("status", "--json").stdout)["disk"]["is_full"]
        assert box.process.poll() is None
        (root / "filler").unlink()
        # The state finds its place again.
        wait_until(lambda: box.state.triton_restarts == box.state.gateway_restarts == 1 and box.is_serving)
        assert box.status["healthy"]
        _fill(root / "filler")
        box.process.terminate()
        assert box.process.wait() == 0, box.output.read_text()
    assert not Path(f"/proc/{before.pid}").exists()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    os.write(1, b"held\n")
