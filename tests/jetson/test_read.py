"""What is read of a board, from trees of the files that boards have. The trees name their sources."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.jetson import Board, Trip, Zone, read_board
from tests.jetson.captured import NAMES, heat, unpack


def _board(name: str, root: Path) -> Board:
    board = read_board(unpack(name, root))
    assert board is not None
    return board


def test_an_orin_nano(tmp_path: Path):
    board = _board("orin-nano", tmp_path)
    assert board.model == "NVIDIA Jetson Orin Nano Developer Kit Super"
    assert (board.l4t, board.power_mode) == ("36.4.7", "15W")
    assert [(zone.name, zone.celsius) for zone in board.zones] == [
        ("cpu-thermal", 51.75),
        ("gpu-thermal", 49.4),
        ("cv0-thermal", None),
        ("tj-thermal", 51.75),
    ]
    assert (board.gpu_hz, board.gpu_max_hz) == (306_000_000, 612_000_000)
    assert board.throttled_by == ()
    assert board.overcurrent_events == 52
    assert board.power_w == pytest.approx(4.984 * 1.856)


def test_an_agx_orin(tmp_path: Path):
    board = _board("agx-orin", tmp_path)
    assert (board.l4t, board.power_mode) == ("36.4.3", "MAXN")
    # A sensor that is off has no temperature, whatever the firmware writes.
    assert [zone.celsius for zone in board.zones] == [71.5, None]
    assert (board.gpu_hz, board.gpu_max_hz) == (1_300_500_000, 1_300_500_000)
    assert board.overcurrent_events is None
    # The second chip's rail is fed by one of the first's.
    assert board.power_w == pytest.approx(9.5 + 3.8 + 4.5)


def test_a_thor(tmp_path: Path):
    board = _board("thor", tmp_path)
    assert (board.l4t, board.power_mode) == ("38.2.0", "120W")
    assert (board.gpu_hz, board.gpu_max_hz) == (1_260_000_000, 1_575_000_000)
    assert board.throttled_by == ("gpu-throttle-alert", "devfreq-gpu-gpc-0")
    assert board.power_w == pytest.approx(12.04 * 0.64 + 12.04 * 0.96 + 5.088 * 1.74)
    assert board.hottest is not None
    assert board.hottest.celsius == 108.9


def test_a_passive_trip_that_only_warns_of_a_hot_surface_is_no_limit(tmp_path: Path):
    root = unpack("orin-nano", tmp_path)
    board = read_board(root)
    assert board is not None
    assert Trip("passive", 70.0, ("hot-surface-alert",)) in board.zones[0].trips
    assert board.headroom_c == pytest.approx(99 - 51.75)
    heat(root, 75)
    warm = read_board(root)
    assert warm is not None
    assert warm.headroom_c == pytest.approx(24)


def test_a_zone_that_tells_of_no_bindings_is_limited_by_its_passive_trip(tmp_path: Path):
    assert _board("agx-orin", tmp_path).headroom_c == pytest.approx(99 - 71.5)


def test_without_any_passive_trip_the_limit_lies_before_the_shutdown(tmp_path: Path):
    assert _board("thor", tmp_path).headroom_c == pytest.approx(114.5 - 5.5 - 108.9)


def test_the_zone_nearest_to_its_own_limit_counts_not_the_hottest():
    near = Zone("near", 80.0, (Trip("passive", 85.0), Trip("critical", 120.0)))
    far = Zone("far", 90.0, (Trip("passive", 110.0),))
    board = Board("x", zones=(far, near, Zone("silent", None, (Trip("passive", 10.0),))))
    assert board.headroom_c == 5.0
    assert board.hottest == far


@pytest.mark.parametrize("name", NAMES)
def test_a_board_whose_sensors_are_all_off_has_no_headroom_and_no_hottest_zone(name: str, tmp_path: Path):
    root = unpack(name, tmp_path)
    for path in root.glob("sys/class/thermal/thermal_zone*/temp"):
        path.unlink()
    board = read_board(root)
    assert board is not None
    assert board.headroom_c is None
    assert board.hottest is None


def test_a_machine_that_is_no_jetson_is_none(tmp_path: Path):
    assert read_board(tmp_path) is None
    (tmp_path / "sys/class/dmi/id").mkdir(parents=True)
    (tmp_path / "sys/class/dmi/id/product_name").write_text("Standard PC\n")
    assert read_board(tmp_path) is None


def test_this_machine_can_be_asked_whatever_it_is():
    board = read_board()
    assert board is None or board.model or board.l4t


def test_a_board_without_device_tree_is_known_by_its_firmware_s_name(tmp_path: Path):
    (tmp_path / "sys/class/dmi/id").mkdir(parents=True)
    (tmp_path / "sys/class/dmi/id/product_name").write_text("NVIDIA Jetson AGX Thor Developer Kit\n")
    assert read_board(tmp_path) == Board("NVIDIA Jetson AGX Thor Developer Kit")


def test_a_power_mode_without_a_name_has_its_number(tmp_path: Path):
    root = unpack("orin-nano", tmp_path)
    (root / "etc/nvpmodel.conf").unlink()
    board = read_board(root)
    assert board is not None
    assert board.power_mode == "mode 0"


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_files_that_are_absent_empty_or_nonsense_are_never_an_error(name: str, tmp_path: Path, data: st.DataObject):
    root = unpack(name, tmp_path / name)
    try:
        paths = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
        for path in data.draw(st.lists(st.sampled_from(paths), max_size=12, unique=True)):
            change = data.draw(st.sampled_from(["absent", "folder", b"", b"\xff\xfe", b"nonsense", b"9" * 5000]))
            path.unlink()
            if change == "folder":
                path.mkdir()
            elif isinstance(change, bytes):
                path.write_bytes(change)
        board = read_board(root)
        assert board is None or board.headroom_c is None or board.headroom_c < 1e9
    finally:
        shutil.rmtree(root)
