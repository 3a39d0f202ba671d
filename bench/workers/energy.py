"""The energy that the processor uses, from the counters that Linux reports ("powercap", Intel RAPL and AMD's)."""

from __future__ import annotations

from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
_ENERGY = "energy_uj"


def counters(powercap: Path = POWERCAP) -> list[Path]:
    """The folders of the packages' counters. Their parts (cores, memory) have a second number and do not count."""
    return [folder for folder in sorted(powercap.glob("*:*")) if folder.name.count(":") == 1 and _is_package(folder)]


def describe(powercap: Path = POWERCAP) -> str:
    """Whether energy can be measured here, for a person."""
    found = counters(powercap)
    if not found:
        return "not reported by this machine"
    try:
        EnergyMeter(powercap).joules()
    except OSError:
        return "reported by this machine, but this user may not read it"
    return f"{len(found)} package counter{'s' if len(found) > 1 else ''}"


class EnergyMeter:
    """Counts from its creation on."""

    def __init__(self, powercap: Path = POWERCAP) -> None:
        """Read the counters.

        Raises:
            OSError: this user may not read them.
        """
        self._folders = counters(powercap)
        self._before = [_microjoules(folder, _ENERGY) for folder in self._folders]

    def joules(self) -> float | None:
        """Energy of all packages since the creation; None if the machine does not report it.

        A counter that wrapped around once is counted right: it takes minutes at full load.

        Raises:
            OSError: this user may not read the counters.
        """
        if not self._folders:
            return None
        total = 0
        for folder, before in zip(self._folders, self._before, strict=True):
            now = _microjoules(folder, _ENERGY)
            total += now - before if now >= before else now - before + _microjoules(folder, "max_energy_range_uj")
        return total / 1e6


def started() -> EnergyMeter | None:
    """A meter that counts from now on; None where this user may not read the counters."""
    try:
        return EnergyMeter()
    except OSError:
        return None


def _is_package(folder: Path) -> bool:
    try:
        return (folder / "name").read_text(encoding="ascii").startswith("package")
    except OSError:
        return False


def _microjoules(folder: Path, name: str) -> int:
    return int((folder / name).read_text(encoding="ascii"))
