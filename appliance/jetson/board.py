"""The values of one reading of a board. These classes do no I/O; a value that could not be read is None."""

from __future__ import annotations

from dataclasses import dataclass

PASSIVE, CRITICAL = "passive", "critical"
# If no trip for throttling is known, assume throttling this many degrees below the shutdown. This is the distance on
# Jetson Orin (99 and 104.5 degrees).
SHUTDOWN_RESERVE_C = 5.5


@dataclass(frozen=True)
class Trip:
    """A trip point: a temperature at which the kernel acts.

    Attributes:
        kind: the kernel's type of the trip ("passive", "active", "hot", "critical").
        celsius: the temperature.
        devices: types of the cooling devices that the trip starts; None if the zone does not list them.
    """

    kind: str
    celsius: float
    devices: tuple[str, ...] | None = None

    @property
    def lowers_clock(self) -> bool:
        """Whether the trip throttles a clock. On Jetson Orin, a passive trip at 70 degrees only warns: hot surface."""
        return self.kind == PASSIVE and (self.devices is None or any(map(is_throttle, self.devices)))


@dataclass(frozen=True)
class Zone:
    """A thermal zone, its temperature and its trips."""

    name: str
    celsius: float | None
    trips: tuple[Trip, ...] = ()

    def limit_c(self) -> float | None:
        """The lowest temperature at which the zone throttles a clock; None if it never does."""
        return min((trip.celsius for trip in self.trips if trip.lowers_clock), default=None)

    def shutdown_c(self) -> float | None:
        """The temperature at which the zone shuts the board down; None if it never does."""
        return min((trip.celsius for trip in self.trips if trip.kind == CRITICAL), default=None)


@dataclass(frozen=True)
class Board:
    """One reading of a Jetson board.

    Attributes:
        model: name of the board in its device tree.
        l4t: release of Jetson Linux, such as "36.4.3".
        power_mode: nvpmodel's name of the power mode, such as "15W".
        zones: thermal zones in the kernel's order, including zones without a temperature.
        gpu_hz: current clock frequency of the GPU.
        gpu_max_hz: maximum clock frequency of the GPU in this power mode.
        throttled_by: types of the cooling devices that throttle a clock now.
        overcurrent_events: number of times that the hardware throttled because of current or voltage since the board
            started.
        power_w: power consumption of the module.
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
        """Degrees until the first zone throttles a clock; negative above that temperature, None if unknown.

        If no zone has a trip that throttles a clock, throttling is assumed SHUTDOWN_RESERVE_C below the shutdown.
        """
        limits = [(zone.celsius, zone.limit_c()) for zone in self.zones]
        if all(limit is None for _, limit in limits):
            shutdowns = [(zone.celsius, zone.shutdown_c()) for zone in self.zones]
            limits = [(now, None if at is None else at - SHUTDOWN_RESERVE_C) for now, at in shutdowns]
        known = [limit - now for now, limit in limits if now is not None and limit is not None]
        return min(known, default=None)


def is_throttle(device: str) -> bool:
    """Whether a cooling device of this type throttles a clock. The fan and the hot-surface warning do not."""
    return device.endswith("-throttle-alert") or "cpufreq" in device or "devfreq" in device


def _celsius(zone: Zone) -> float:
    return -273.15 if zone.celsius is None else zone.celsius
