from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.memory import available_bytes, peak_bytes

LARGE_BYTES = 200_000_000
# A large program starts a small one, which tells its own peak.
PARENT = f"""
import subprocess, sys
from appliance.memory import peak_bytes, resident_bytes
held = bytearray(b"x") * {LARGE_BYTES}
subprocess.run([sys.executable, "-c", "from appliance.memory import peak_bytes; print(peak_bytes())"], check=True)
del held
print(peak_bytes(), resident_bytes())
"""


def test_a_peak_is_kept_and_is_not_inherited_from_the_program_that_started_this_one() -> None:
    ran = subprocess.run([sys.executable, "-c", PARENT], check=True, capture_output=True, text=True)
    child, parent, left = map(int, ran.stdout.split())
    assert 0 < child < LARGE_BYTES < parent
    assert 0 < left < LARGE_BYTES


def test_another_process_can_be_asked_about_and_one_that_is_gone_has_none() -> None:
    assert 0 < peak_bytes(os.getpid()) <= peak_bytes()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert peak_bytes(gone.pid) == 0


def test_a_control_groups_limit_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "max").write_text("5000\n")
    (tmp_path / "current").write_text("2000\n")
    absent = (tmp_path / "no", tmp_path / "no")
    monkeypatch.setattr("appliance.memory._GROUP_LIMITS", ((tmp_path / "max", tmp_path / "current"), absent))
    assert available_bytes() == 3000
    (tmp_path / "max").write_text("max\n")
    assert available_bytes() > 3000
