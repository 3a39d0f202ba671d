"""Builds the TensorRT plan of a random graph like `appliance tensorrt build`, but without a smoke test."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

from appliance.artefact.folder import file_entry
from appliance.artefact.manifest import MANIFEST_NAME, Manifest
from appliance.errors import UnsupportedError
from appliance.gpu import Gpu
from appliance.targets import Target, fitting
from appliance.tensorrt.build import BuildInputs, ensure_plan
from appliance.tensorrt.driver import installed_driver
from appliance.tensorrt.find import Flavour, find_tensorrt
from appliance.tensorrt.plan_key import Profile
from appliance.tensorrt.plan_store import PlanStore

Say = Callable[[str], None]


def build_plan(graph: Path, engines: Path, manifest: Manifest, gpu: Gpu, profile: Profile, say: Say) -> Path:
    """Build and return the plan's folder.

    Args:
        graph: the graph's folder; a manifest is written into it.
        engines: folder for the plan.
        manifest: the graph's manifest, without its files.
        gpu: the GPU to build for.
        profile: see Profile.
        say: receives messages.

    Raises:
        ApplianceError: see `ensure_plan`; or no target fits the GPU.
    """
    entries = tuple(file_entry(path) for path in sorted(graph.iterdir()))
    listed = dataclasses.replace(manifest, files=entries)
    (graph / MANIFEST_NAME).write_bytes(listed.to_bytes())
    target = _target(gpu)
    tensorrt = find_tensorrt({Flavour.TENSORRT: target.tensorrt, Flavour.RTX: target.tensorrt_rtx})
    inputs = BuildInputs(graph, listed, tensorrt, gpu, installed_driver(gpu), profile, profile.slots)
    return ensure_plan(PlanStore(engines), inputs, _untried, _Watcher(say)).folder


class _Watcher:
    def __init__(self, say: Say) -> None:
        self.note = say

    def advance(self, percent: int) -> None:
        """Ignore the progress."""


def _untried(_plan: Path, _artefact: Path, _manifest: Manifest) -> Mapping[str, float]:
    return {}


def _target(gpu: Gpu) -> Target:
    for target in fitting(gpu.compute_capability, is_jetson=gpu.integrated):
        return target
    raise UnsupportedError(f"no target has the compute capability {gpu.compute_capability} of {gpu.name}")
