import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from appliance import disk
from appliance.errors import NoSpaceError
from appliance.triton import shared_memory
from appliance.triton.shared_memory import check_shared_memory, clean, end_orphans, fresh_prefix, owner
from tests.refusals import refused


def test_leftovers_of_this_root_are_deleted_and_no_others(tmp_path: Path):
    ours, theirs = owner(tmp_path / "a"), owner(tmp_path / "b")
    shared = tmp_path / "shm"
    shared.mkdir()
    leftovers = [f"{fresh_prefix(ours)}0123", f"{fresh_prefix(ours)}4567"]
    others = [f"{fresh_prefix(theirs)}0123", "triton_python_backend_shm_region_x", "appliance-", f"x-appliance-{ours}-"]
    for name in (*leftovers, *others):
        (shared / name).write_bytes(b"tensor")
    assert set(clean(ours, shared)) == set(leftovers)
    assert {path.name for path in shared.iterdir()} == set(others)


def test_processes_of_a_dead_server_of_this_root_are_ended_and_no_others(tmp_path: Path):
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    ours, theirs = owner(tmp_path / "a"), owner(tmp_path / "b")
    with (
        subprocess.Popen([*sleeper, fresh_prefix(ours)]) as orphan,
        subprocess.Popen([*sleeper, fresh_prefix(theirs)]) as other,
    ):
        assert end_orphans(ours) == 1
        assert orphan.wait() == -signal.SIGKILL
        assert other.poll() is None
        other.kill()


def test_the_mark_of_a_root_is_kept_and_each_start_has_a_prefix_of_its_own(tmp_path: Path):
    word = owner(tmp_path)
    assert owner(tmp_path) == word
    assert fresh_prefix(word) != fresh_prefix(word)


def test_a_damaged_mark_is_drawn_anew_so_that_it_cannot_match_everything(tmp_path: Path):
    word = owner(tmp_path)
    for damaged in ("", "*\n", "../x"):
        (tmp_path / "shared-memory-owner").write_text(damaged)
        assert owner(tmp_path) not in {word, damaged}


def test_a_copied_root_and_another_boot_have_a_mark_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    word = owner(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b", copy_function=shutil.copy2)
    assert owner(tmp_path / "b") != word
    assert owner(tmp_path / "a") == word
    monkeypatch.setattr(shared_memory, "boot_id", lambda: "another")
    assert owner(tmp_path / "a") != word


def test_too_little_room_is_refused_before_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: 1 << 20)
    with pytest.raises(NoSpaceError, match="shm-size"):
        check_shared_memory(1, tmp_path)


def test_each_model_needs_room_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: 40 << 20)
    check_shared_memory(1, tmp_path)
    with pytest.raises(NoSpaceError):
        check_shared_memory(2, tmp_path)


def test_no_shared_memory_at_all_is_refused(tmp_path: Path):
    with refused(NoSpaceError, "tmpfs"):
        check_shared_memory(1, tmp_path / "absent")
