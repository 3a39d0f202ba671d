"""Calculates the memory that a served model needs, and whether it fits. This package measures nothing.

`appliance plan`, `appliance tensorrt build` and the engine use the same calculation, each with the memory that it
measured, so their results never differ. docs/prediction.md has the formulae.
"""

from appliance.capacity.cache import Cache, cache_slots
from appliance.capacity.fit import Fit
from appliance.capacity.memory import (
    BUILD_TIMES,
    CPU_RUNTIME_BYTES,
    RUNTIME_BYTES,
    SYSTEM_BYTES,
    GpuMemory,
    MemoryNeeds,
)

__all__ = [
    "BUILD_TIMES",
    "CPU_RUNTIME_BYTES",
    "RUNTIME_BYTES",
    "SYSTEM_BYTES",
    "Cache",
    "Fit",
    "GpuMemory",
    "MemoryNeeds",
    "cache_slots",
]
