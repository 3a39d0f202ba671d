"""A GPU as a value: its name and properties."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU.

    Attributes:
        name: NVIDIA's name of the GPU, such as "NVIDIA H100 80GB HBM3".
        compute_capability: CUDA compute capability, such as "9.0".
        memory_bytes: total memory, used or not.
        driver_version: the newest CUDA version that the driver supports, such as "13.0".
        uuid: "GPU-" and the GPU's number, which is the same in every machine.
        integrated: whether the GPU has no own memory and uses the CPU's memory, as on Jetson.
    """

    name: str
    compute_capability: str
    memory_bytes: int
    driver_version: str
    uuid: str
    integrated: bool
