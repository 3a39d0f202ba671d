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
    """

    name: str
    artefact: Path
    engine: EngineConfig = field(default_factory=EngineConfig)
