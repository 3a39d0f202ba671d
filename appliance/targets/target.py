"""The values of a target file. `load` reads and checks them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from appliance.document import Bounds
from appliance.errors import UnknownModelError

Precision = Literal["fp32", "bf16", "fp16", "fp8", "int8", "int4", "nvfp4"]
_VERSION = Bounds(pattern=r"[0-9]+(\.[0-9]+)*", meaning="numbers with dots between").metadata
_MAY_BE_EMPTY = Bounds(least=0).metadata


@dataclass(frozen=True)
class VersionRange:
    """The versions from `least` on and before `below`, compared number by number; an empty bound means no bound.

    "10.15" and "10.15.0" are the same version.
    """

    least: str = field(default="", metadata=_VERSION)
    below: str = field(default="", metadata=_VERSION)

    def covers(self, version: str) -> bool:
        """Whether the range includes a version such as "10.15.1".

        Raises:
            ValueError: a part of the version is not a number.
        """
        found = _numbers(version)
        return (not self.least or found >= _numbers(self.least)) and (not self.below or found < _numbers(self.below))

    def __str__(self) -> str:
        words = [f"{self.least} or newer"] if self.least else []
        words += [f"before {self.below}"] if self.below else []
        return ", ".join(words) or "any"


@dataclass(frozen=True)
class PowerMode:
    """A setting of a board that limits its power and its throughput.

    Attributes:
        name: as the board's own tool calls it ("MAXN", "15W").
        watts: the mode's power limit; None without a limit.
        bandwidth_bytes_per_s: memory bandwidth in this mode; None if no source states it.
    """

    name: str
    watts: int | None = None
    bandwidth_bytes_per_s: float | None = None


@dataclass(frozen=True)
class Board:
    """A product with this hardware, for which predictions are made.

    Attributes:
        name: the maker's name.
        memory_bytes: memory by the data sheet, in GB of 10^9: on a Jetson, about what Linux has of the GiB of 2^30.
        shared: the CPU uses the same memory, and the system needs a part of it.
        bandwidth_bytes_per_s: memory bandwidth by the data sheet; in the fastest power mode.
        source: the source of these figures.
        power_modes: see PowerMode, the fastest first; empty if the board has only one.
    """

    name: str
    memory_bytes: int
    shared: bool
    bandwidth_bytes_per_s: float
    source: str
    power_modes: tuple[PowerMode, ...] = field(default=(), metadata=_MAY_BE_EMPTY)


@dataclass(frozen=True)
class PlanProfile:
    """The shapes that a TensorRT plan is built for; the plan serves no others.

    Attributes:
        slots: maximum number of sequences that decode concurrently.
        context_tokens: longest prompt plus completion.
        chunk_tokens: maximum number of prompt tokens in one prefill step.
    """

    slots: int
    context_tokens: int
    chunk_tokens: int


@dataclass(frozen=True)
class Target:
    """One kind of hardware.

    Attributes:
        name: the value of `--target`.
        title: one line for people.
        precisions: number formats of weights and activations that it supports, in its matrix units or unpacked by a
            kernel.
        presets: names of the presets that it supports; the first is the default.
        boards: see Board; predictions are made for each.
        compute_capability: NVIDIA's, such as "9.0"; empty without a GPU.
        cuda, tensorrt, jetpack: supported versions; None if the target does not use it.
        tensorrt_rtx: versions of TensorRT for RTX, numbered separately; None if it does not support the GPU.
        profile: see PlanProfile; None if the target does not use TensorRT.
    """

    name: str
    title: str
    precisions: tuple[Precision, ...]
    presets: tuple[str, ...]
    boards: tuple[Board, ...] = field(metadata=_MAY_BE_EMPTY)
    compute_capability: str = field(default="", metadata=_VERSION)
    cuda: VersionRange | None = None
    tensorrt: VersionRange | None = None
    jetpack: VersionRange | None = None
    tensorrt_rtx: VersionRange | None = None
    profile: PlanProfile | None = None

    @property
    def default_preset(self) -> str:
        """The preset that is used if none is named."""
        return self.presets[0]

    def preset(self, name: str | None) -> str:
        """Return `name` if it is one of the target's presets; the default for None.

        Raises:
            UnknownModelError: the target has no such preset.
        """
        chosen = name or self.default_preset
        if chosen not in self.presets:
            raise UnknownModelError(f"{self.name} has no preset {chosen!r}", hint=f"presets: {', '.join(self.presets)}")
        return chosen

    @property
    def is_jetson(self) -> bool:
        """Whether it is a module with JetPack, whose GPU shares the CPU's memory."""
        return self.jetpack is not None


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(part) for part in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
