from __future__ import annotations

import os
import subprocess
import sys

from export.resident_memory import peak_bytes

LARGE_BYTES = 200_000_000
# A large program starts a small one, which tells its own peak.
PARENT = f"""
import subprocess, sys
from export.resident_memory import peak_bytes, resident_bytes
held = bytearray(b"x") * {LARGE_BYTES}
subprocess.run([sys.executable, "-c", "from export.resident_memory import peak_bytes; print(peak_bytes())"], check=True)
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
