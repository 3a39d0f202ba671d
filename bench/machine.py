"""Describes the machine of the measurements, from Linux's own files."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path

import psutil

from bench.workers import energy

_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8", "asimddp", "i8mm", "sve")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def describe_machine() -> Mapping[str, str]:
    """The properties of the machine, in the order to print."""
    cpu = cpu_fields(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
    flags = (cpu.get("flags") or cpu.get("Features") or "").split()
    return {
        "CPU": cpu.get("model name") or platform.processor() or platform.machine(),
        "cores used": f"{compute_threads()} of {os.cpu_count()} logical",
        "instructions": ", ".join(flag for flag in _FLAGS if flag in flags) or "none of interest",
        "frequency governor": _GOVERNOR.read_text(encoding="ascii").strip() if _GOVERNOR.exists() else "unknown",
        "hypervisor": "yes" if "hypervisor" in flags else "none seen",
        "energy": energy.describe(),
        "memory": f"{psutil.virtual_memory().total / 1e9:.1f} GB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
    }


def compute_threads() -> int:
    """Number of threads of every engine: the physical cores that this process may use."""
    return max(1, min(psutil.cpu_count(logical=False) or 1, len(os.sched_getaffinity(0))))


def cpu_fields(cpuinfo: str) -> dict[str, str]:
    """The fields of the first processor in /proc/cpuinfo."""
    first = cpuinfo.split("\n\n", 1)[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}
