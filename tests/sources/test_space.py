"""Room on the disks, before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.errors import NoSpaceError
from appliance.sources.space import Need, check_space


def test_needs_on_one_disk_add_up(tmp_path: Path):
    needs = [Need("download", tmp_path / "a", 6_000_000), Need("store", tmp_path / "b" / "c", 5_000_000)]
    check_space(needs, lambda _: 11_000_000)
    with pytest.raises(NoSpaceError) as caught:
        check_space(needs, lambda _: 10_000_000)
    assert "6.0 MB to download + 5.0 MB to store = 11.0 MB, free are 10.0 MB" in caught.value.message
    assert "free 1.0 MB" in caught.value.hint
    assert caught.value.exit_code == 4


def test_the_true_disk_is_asked_by_default(tmp_path: Path):
    check_space([Need("store", tmp_path, 1)])
    with pytest.raises(NoSpaceError):
        check_space([Need("store", tmp_path, 1 << 62)])
