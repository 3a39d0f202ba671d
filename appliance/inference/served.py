"""The settings of one served model. Triton and the gateway are started with these values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from appliance.inference.config import EngineConfig


@dataclass(frozen=True)
class ServedModelSettings:
    """The artefact and the limits of one served model.

    Attributes:
        name: the model's name for clients and in Triton, unique on the box.
        artefact: folder of the artefact.
        engine: slots, threads, cache and other limits of this model.
        memory_bytes: main memory of its process when every slot is full; 0 if its weights are in a GPU's memory.
        on_demand: it is not loaded at the start.
        task: the name of the model's task.
        dimensions: elements of an embedding model's vectors, 1 for a reranker; 0 for text generation.
    """

    name: str
    artefact: Path
    engine: EngineConfig = field(default_factory=EngineConfig)
    memory_bytes: int = 0
    on_demand: bool = False
    task: str = "text-generation"
    dimensions: int = 0
