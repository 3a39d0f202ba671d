"""What disks have left, before any work, and that nobody asks them in another way."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from appliance import disk
from appliance.disk import Need, check_space
from appliance.errors import NoSpaceError

ROOT = Path(__file__).parents[1]


def test_needs_on_one_disk_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    needs = [Need("download", tmp_path / "a", 6_000_000), Need("store", tmp_path / "b" / "c", 5_000_000)]
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: 11_000_000)
    check_space(needs)
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: 10_000_000)
    with pytest.raises(NoSpaceError) as caught:
        check_space(needs, "buy a disk")
    assert "6.0 MB to download + 5.0 MB to store = 11.0 MB, but 10.0 MB are free" in caught.value.message
    assert caught.value.hint == "free 1.0 MB, or buy a disk"
    assert caught.value.exit_code == 4


def test_the_true_disk_is_asked(tmp_path: Path):
    check_space([Need("store", tmp_path / "not" / "yet" / "there", 1)])
    with pytest.raises(NoSpaceError):
        check_space([Need("store", tmp_path, 1 << 62)])


def test_no_other_module_asks_a_disk():
    own = re.compile(r"disk_usage|statvfs")
    paths = [path for part in ("appliance", "export") for path in (ROOT / part).rglob("*.py")]
    asking = [str(path.relative_to(ROOT)) for path in paths if own.search(path.read_text(encoding="utf-8"))]
    assert asking == ["appliance/disk.py"]
