"""Opens the runner that an artefact was exported for. It decides by the manifest alone, never by what is installed."""

from __future__ import annotations

from pathlib import Path

from appliance.artefact import Manifest
from appliance.artefact.manifest import GRAPH, ORT_CPU
from appliance.engine.config import EngineConfig
from appliance.engine.ort_runner import OrtRunner
from appliance.engine.runner import Runner
from appliance.errors import UnsupportedError


def open_runner(artefact: Path, manifest: Manifest, *, slots: int, capacity: int, config: EngineConfig) -> Runner:
    """Load the artefact's graph, already through the gate, with a cache of `slots` slots of `capacity` tokens.

    Raises:
        UnsupportedError: this program has no runner for it.
        EngineError, NoSpaceError: see the runner.
    """
    if manifest.runtime == ORT_CPU:
        return OrtRunner(artefact / GRAPH, manifest.shape, slots=slots, capacity=capacity, threads=config.threads)
    raise UnsupportedError(f"{manifest.model} was exported for the runtime {manifest.runtime!r}, which is not known")
