from __future__ import annotations

from pathlib import Path

import pytest

from bench.workers.energy import EnergyMeter, counters, describe

RANGE = 1_000_000


def counter(powercap: Path, folder: str, name: str, microjoules: int) -> Path:
    made = powercap / folder
    made.mkdir(parents=True)
    (made / "name").write_text(f"{name}\n", encoding="ascii")
    (made / "max_energy_range_uj").write_text(f"{RANGE}\n", encoding="ascii")
    (made / "energy_uj").write_text(f"{microjoules}\n", encoding="ascii")
    return made


def test_packages_count_and_their_parts_do_not(tmp_path: Path):
    packages = [counter(tmp_path, f"intel-rapl:{number}", f"package-{number}", 5) for number in range(2)]
    counter(tmp_path, "intel-rapl:0:0", "core", 5)
    counter(tmp_path, "intel-rapl:2", "psys", 5)
    (tmp_path / "intel-rapl").mkdir()
    assert counters(tmp_path) == packages
    assert describe(tmp_path) == "2 package counters"


def test_energy_is_the_sum_and_a_counter_may_wrap_around(tmp_path: Path):
    first = counter(tmp_path, "intel-rapl:0", "package-0", 100)
    second = counter(tmp_path, "intel-rapl:1", "package-1", RANGE - 100)
    meter = EnergyMeter(tmp_path)
    (first / "energy_uj").write_text("500100", encoding="ascii")
    (second / "energy_uj").write_text("499900", encoding="ascii")
    assert meter.joules() == pytest.approx(1.0)


def test_a_machine_without_counters_is_said_to_report_nothing(tmp_path: Path):
    assert EnergyMeter(tmp_path / "absent").joules() is None
    assert describe(tmp_path / "absent") == "not reported by this machine"


def test_counters_that_this_user_may_not_read_are_named(tmp_path: Path):
    made = counter(tmp_path, "intel-rapl:0", "package-0", 5)
    # Root may read any file: a folder cannot be read by anybody.
    (made / "energy_uj").unlink()
    (made / "energy_uj").mkdir()
    assert "may not read it" in describe(tmp_path)
