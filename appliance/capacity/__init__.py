"""What a served model takes of a machine's memory, and whether that holds it: pure rules, nothing is measured here.

`appliance plan`, `appliance tensorrt build` and the engine ask the same calculator, each with the memory that it has
found, so they never disagree. docs/prediction.md has the formulae.
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
