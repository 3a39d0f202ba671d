"""The values of one look at a board. They do no I/O; a figure that could not be read is None."""

from __future__ import annotations

from dataclasses import dataclass

PASSIVE, CRITICAL = "passive", "critical"
# Where nobody says at what temperature the clock is lowered: so far before the shutdown. It is the distance on Jetson
# Orin (99 and 104.5 degrees).
SHUTDOWN_RESERVE_C = 5.5


@dataclass(frozen=True)
class Trip:
    """A temperature at which the kernel does something.

    Attributes:
        kind: the kernel's word ("passive", "active", "hot", "critical").
        celsius: where.
        devices: types of the cooling devices that it sets in motion; None if the zone does not tell.
    """

    kind: str
    celsius: float
    devices: tuple[str, ...] | None = None

    @property
    def lowers_clock(self) -> bool:
        """Whether a clock is lowered here. On Jetson Orin a passive trip at 70 degrees only warns of a hot surface."""
        return self.kind == PASSIVE and (self.devices is None or any(map(is_throttle, self.devices)))


@dataclass(frozen=True)
class Zone:
    """A thermal zone, its temperature and its trips."""

    name: str
    celsius: float | None
    trips: tuple[Trip, ...] = ()

    def limit_c(self) -> float | None:
        """The lowest temperature at which it lowers a clock; None if it never does."""
        return min((trip.celsius for trip in self.trips if trip.lowers_clock), default=None)

    def shutdown_c(self) -> float | None:
        """The temperature at which it shuts the board down; None if it never does."""
        return min((trip.celsius for trip in self.trips if trip.kind == CRITICAL), default=None)


@dataclass(frozen=True)
class Board:
    """One look at a Jetson.

    Attributes:
        model: as its device tree names it.
        l4t: release of Jetson Linux, such as "36.4.3".
        power_mode: the name that nvpmodel has for it, such as "15W".
        zones: thermal zones in the kernel's order, those without a temperature too.
        gpu_hz: the GPU's clock now.
        gpu_max_hz: what it may be in this power mode.
        throttled_by: types of the cooling devices that lower a clock now.
        overcurrent_events: how often the hardware throttled for current or voltage since the board started.
        power_w: what the module draws.
    """

    model: str | None
    l4t: str | None = None
    power_mode: str | None = None
    zones: tuple[Zone, ...] = ()
    gpu_hz: int | None = None
    gpu_max_hz: int | None = None
    throttled_by: tuple[str, ...] | None = None
    overcurrent_events: int | None = None
    power_w: float | None = None

    @property
    def hottest(self) -> Zone | None:
        """The zone with the highest temperature."""
        return max((zone for zone in self.zones if zone.celsius is not None), key=_celsius, default=None)

    @property
    def headroom_c(self) -> float | None:
        """Degrees until the first zone lowers a clock; negative beyond, None if nothing tells.

        Where no zone has a trip that lowers a clock, it is taken to happen SHUTDOWN_RESERVE_C before the shutdown.
        """
        limits = [(zone.celsius, zone.limit_c()) for zone in self.zones]
        if all(limit is None for _, limit in limits):
            shutdowns = [(zone.celsius, zone.shutdown_c()) for zone in self.zones]
            limits = [(now, None if at is None else at - SHUTDOWN_RESERVE_C) for now, at in shutdowns]
        known = [limit - now for now, limit in limits if now is not None and limit is not None]
        return min(known, default=None)


def is_throttle(device: str) -> bool:
    """Whether a cooling device of this type lowers a clock, as the fan and the hot-surface warning do not."""
    return device.endswith("-throttle-alert") or "cpufreq" in device or "devfreq" in device


def _celsius(zone: Zone) -> float:
    return -273.15 if zone.celsius is None else zone.celsius
