"""Reads the power mode from nvpmodel's files, clocks from devfreq, and current and power from hwmon."""

from __future__ import annotations

import re
from pathlib import Path

from appliance.jetson import files

_MODE = re.compile(r"^\s*<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+?)\s*>", re.MULTILINE)
# Name of the GPU's clock domain: its address and "gpu", or the chip's name before JetPack 6; on Thor, "gpu-gpc-0".
_GPU = re.compile(r".*\.(gpu|ga10b|gv11b|gp10b)|gpu-gpc-0")
# Power rails that together are the module's input: one rail on Orin Nano and NX; three on AGX Orin, and on Thor.
# Source: NVIDIA Jetson Linux Developer Guide, "Platform Power and Performance", tables of the INA3221's channels.
_INPUTS = (
    ("VDD_IN",),
    ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
    ("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"),
)


def power_mode(root: Path) -> str | None:
    """The name of the power mode that nvpmodel has set, or its number if no name is known.

    nvpmodel writes "pmode:0002 fmode:fanNull" when it sets a mode. The names are in its configuration.
    """
    found = re.search(r"pmode:(\d+)", files.text(root / "var/lib/nvpmodel/status") or "")
    if found is None:
        return None
    number = int(found[1])
    modes = _MODE.finditer(files.text(root / "etc/nvpmodel.conf") or "")
    names: dict[int, str] = {int(mode[1]): mode[2] for mode in modes}
    return names.get(number, f"mode {number}")


def gpu_clock(root: Path) -> tuple[int | None, int | None]:
    """(current clock frequency of the GPU, maximum in this power mode), in hertz."""
    for folder in files.folders(root / "sys/class/devfreq", "*"):
        if _GPU.fullmatch(folder.name):
            return files.number(folder / "cur_freq"), files.number(folder / "max_freq")
    return None, None


def overcurrent_events(root: Path) -> int | None:
    """Number of times that the hardware throttled because of low voltage or high current since the board started."""
    counts = [
        files.number(path)
        for folder in _hwmon(root, "soctherm_oc")
        for path in sorted(folder.glob("oc[0-9]_event_cnt"))
    ]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def power_w(root: Path) -> float | None:
    """Power consumption of the module in watts; None if its input rails are not known."""
    rails: dict[str, float] = {}
    for folder in _hwmon(root, "ina3221"):
        for path in sorted(folder.glob("in[1-3]_label")):
            channel = path.name[2]
            millivolts, milliamperes = (files.number(folder / f"{name}{channel}_input") for name in ("in", "curr"))
            label = files.text(path)
            if label and millivolts is not None and milliamperes is not None:
                rails[label] = millivolts * milliamperes / 1e6
    for inputs in _INPUTS:
        if all(rail in rails for rail in inputs):
            return sum(rails[rail] for rail in inputs)
    return None


def _hwmon(root: Path, name: str) -> list[Path]:
    # Find the folders by name: their numbers may change at each boot.
    return [
        folder for folder in files.folders(root / "sys/class/hwmon", "hwmon*") if files.text(folder / "name") == name
    ]
