"""The TensorRT plan of an artefact that is to be served: built before anything starts, in a process of its own.

TensorRT and the GPU's driver take memory for as long as a process lives, and this one lives as long as the box.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from appliance.artefact.manifest import Manifest
from appliance.child import dies_with
from appliance.errors import UnknownModelError
from appliance.layout import Layout
from appliance.tensorrt.open_plan import read_record
from appliance.tensorrt.plan_key import Profile
from appliance.tensorrt.plan_store import PlanStore


@dataclass(frozen=True)
class ServedPlan:
    """A plan that was built on this box.

    Attributes:
        folder: where it is.
        profile: what it was built for.
        cache_bytes_per_token: of the model that it computes.
    """

    folder: Path
    profile: Profile
    cache_bytes_per_token: int


def build_plan(layout: Layout, manifest: Manifest) -> int:
    """Run `appliance tensorrt build`, which builds nothing where the plan is there and fits.

    Its words go to standard error. Returns its exit status; where that is not 0, it has said why.
    """
    words = ["tensorrt", "build", manifest.model, "--target", manifest.target, "--preset", manifest.preset]
    command = [sys.executable, "-I", "-m", "appliance.cli", "--root", str(layout.root), *words]
    # It runs nothing but prctl in the child: an interrupted or killed `up` leaves no build behind.
    built = subprocess.run(command, check=False, stdout=2, preexec_fn=dies_with(os.getpid()))
    return built.returncode


def open_served(layout: Layout, manifest: Manifest) -> ServedPlan:
    """The artefact's current plan. Its bytes are proved where it is loaded.

    Raises:
        UnknownModelError: there is none.
        IntegrityError, UnsupportedError: its record is not this box's, or damaged.
    """
    plan = PlanStore(layout.engines).current(manifest)
    if plan is None:
        raise UnknownModelError(
            f"this box has no TensorRT plan for {manifest.model}",
            hint=f"build it: appliance tensorrt build {manifest.model} --target {manifest.target} "
            f"--preset {manifest.preset}",
        )
    return ServedPlan(plan, read_record(plan).key.profile, manifest.shape.cache_bytes_per_token)
