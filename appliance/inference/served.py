"""One model of the set that a box serves, as a value that Triton and the gateway are started with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from appliance.inference.config import EngineConfig


@dataclass(frozen=True)
class ServedModelSettings:
    """What is served under one name, and within which limits.

    Attributes:
        name: the model's name for clients and in Triton, unique in the set.
        artefact: its folder.
        engine: its own slots, threads, cache and further limits.
    """

    name: str
    artefact: Path
    engine: EngineConfig = field(default_factory=EngineConfig)
