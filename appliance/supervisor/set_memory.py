"""The main memory of the models of a set, planned before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from appliance.artefact.manifest import ORT_CPU, Manifest, TextGeneration
from appliance.capacity.memory import SYSTEM_BYTES, MemoryNeeds
from appliance.errors import NoSpaceError
from appliance.inference.config import EngineConfig
from appliance.memory import total_bytes
from appliance.sizes import size


def memory_bytes(manifest: Manifest, artefact: Path, engine: EngineConfig) -> int:
    """Main memory of a model's process when every slot is full; 0 if its weights are in a GPU's memory."""
    if manifest.runtime != ORT_CPU:
        return 0
    folder = artefact if engine.packed is None else Path(engine.packed)
    weights = sum(path.stat().st_size for path in folder.glob("model.onnx*"))
    cache = engine.cache_bytes if isinstance(manifest.task, TextGeneration) else 0
    return MemoryNeeds.on_cpu(weights, cache).total_bytes


def check_set(needs: Mapping[str, int]) -> None:
    """Check that the models that the box loads at its start fit the machine's memory together.

    Args:
        needs: the memory of each model by its name.

    Raises:
        NoSpaceError: they do not fit; the message has the calculation.
    """
    room, needed = total_bytes() - SYSTEM_BYTES, sum(needs.values())
    # A single model is not refused: its cache grows only as requests need it.
    if len(needs) > 1 and needed > room:
        parts = " + ".join(f"{size(need)} for {name}" for name, need in needs.items())
        raise NoSpaceError(
            f"the models do not fit the memory together: {parts} = {size(needed)}, but {size(room)} are available",
            hint="lower cache_bytes, or set on_demand = true for models that are not always needed",
        )
