"""Reads thermal zones and cooling devices from `sys/class/thermal`.

Source: Linux, Documentation/ABI/testing/sysfs-class-thermal and Documentation/driver-api/thermal/sysfs-api.rst.
"""

from __future__ import annotations

import re
from pathlib import Path

from appliance.jetson import files
from appliance.jetson.board import Trip, Zone, is_throttle

# Lower values are invalid: the Tegra firmware writes -256 degrees for a sensor that is off.
_COLDEST_C = -100.0


def zones(thermal: Path) -> tuple[Zone, ...]:
    """All zones, in the kernel's order."""
    return tuple(_zone(folder) for folder in files.folders(thermal, "thermal_zone*"))


def throttled_by(thermal: Path) -> tuple[str, ...] | None:
    """Types of the devices that throttle a clock now; None if no device can throttle."""
    found = []
    for folder in files.folders(thermal, "cooling_device*"):
        kind, state = files.text(folder / "type"), files.number(folder / "cur_state")
        if kind is not None and state is not None and is_throttle(kind):
            found.append((kind, state))
    return tuple(kind for kind, state in found if state > 0) if found else None


def _zone(folder: Path) -> Zone:
    bound = _bindings(folder)
    trips = []
    for path in sorted(folder.glob("trip_point_[0-9]*_type")):
        index = int(path.name.split("_")[2])
        kind, celsius = files.text(path), _celsius(folder / f"trip_point_{index}_temp")
        if kind and celsius is not None:
            trips.append(Trip(kind, celsius, tuple(bound.get(index, ())) if bound else None))
    return Zone(files.text(folder / "type") or folder.name, _celsius(folder / "temp"), tuple(trips))


def _bindings(folder: Path) -> dict[int, list[str]]:
    """Map from the index of a trip to the types of the devices that the zone binds to the trip."""
    found: dict[int, list[str]] = {}
    for path in sorted(folder.glob("cdev*")):
        if re.fullmatch(r"cdev\d+", path.name):
            kind, trip = files.text(path / "type"), files.number(folder / f"{path.name}_trip_point")
            if kind is not None and trip is not None:
                found.setdefault(trip, []).append(kind)
    return found


def _celsius(path: Path) -> float | None:
    value = files.number(path)
    return None if value is None or value / 1000 < _COLDEST_C else value / 1000
