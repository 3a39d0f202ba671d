"""Reads the board's values from files of the kernel and of Jetson Linux. It starts no program and writes nothing."""

from __future__ import annotations

import re
from pathlib import Path

from appliance.jetson import files, power, thermal
from appliance.jetson.board import Board


def read_board(root: Path = Path("/")) -> Board | None:
    """Read the board once; None if this machine is no Jetson. A value that is absent or unreadable is None.

    Args:
        root: root folder of the files.
    """
    # A virtual machine on a board has no device tree, but the DMI product name.
    model = files.text(root / "proc/device-tree/model") or files.text(root / "sys/class/dmi/id/product_name")
    release = files.text(root / "etc/nv_tegra_release")
    if release is None and "Jetson" not in (model or ""):
        return None
    gpu_hz, gpu_max_hz = power.gpu_clock(root)
    return Board(
        model=model,
        l4t=_l4t(release or ""),
        power_mode=power.power_mode(root),
        zones=thermal.zones(root / "sys/class/thermal"),
        gpu_hz=gpu_hz,
        gpu_max_hz=gpu_max_hz,
        throttled_by=thermal.throttled_by(root / "sys/class/thermal"),
        overcurrent_events=power.overcurrent_events(root),
        power_w=power.power_w(root),
    )


def _l4t(release: str) -> str | None:
    """Convert "# R36 (release), REVISION: 4.3, GCID: …" to "36.4.3"."""
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", release)
    return f"{found[1]}.{found[2]}" if found else None
