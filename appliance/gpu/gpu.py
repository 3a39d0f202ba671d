"""A GPU as a value: what it is called and what it can do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU.

    Attributes:
        name: the maker's, such as "NVIDIA H100 80GB HBM3".
        compute_capability: such as "9.0".
        memory_bytes: all of its memory, in use or not.
        driver_version: the newest CUDA that the driver serves, such as "13.0".
        uuid: "GPU-" and the number that it keeps in whatever machine it is.
        integrated: it has no memory of its own but uses the processor's, as on Jetson.
    """

    name: str
    compute_capability: str
    memory_bytes: int
    driver_version: str
    uuid: str
    integrated: bool
