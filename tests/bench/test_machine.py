from __future__ import annotations

import os
import subprocess
import sys

from bench.machine import compute_threads, cpu_fields, describe_machine
from bench.others import Others

CPUINFO = """\
processor\t: 0
model name\t: Abacus 9000
flags\t\t: fpu avx512f avx512_vnni

processor\t: 1
model name\t: Another
"""


def test_the_first_processor_speaks_for_all():
    assert cpu_fields(CPUINFO) == {
        "processor": "0",
        "model name": "Abacus 9000",
        "flags": "fpu avx512f avx512_vnni",
    }


def test_the_description_is_complete():
    described = describe_machine()
    assert {"CPU", "cores used", "instructions", "memory", "kernel", "Python"} <= set(described)
    assert all(described.values())


def test_threads_fit_the_cores_that_may_be_used():
    assert 1 <= compute_threads() <= len(os.sched_getaffinity(0))


def test_a_child_that_was_waited_for_is_not_others_work():
    others = Others()
    before = others._own_s
    subprocess.run([sys.executable, "-c", "sum(range(10_000_000))"], check=True)
    others.cores()
    assert Others()._own_s > before
