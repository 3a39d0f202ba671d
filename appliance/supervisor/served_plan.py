"""The TensorRT plan of an artefact to serve. A separate process builds it before anything starts.

TensorRT and the GPU's driver hold memory until their process ends, and the supervisor runs as long as the box.
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
        profile: the limits that it was built for.
        cache_bytes_per_token: size of one token in the model's KV cache, in bytes.
    """

    folder: Path
    profile: Profile
    cache_bytes_per_token: int


def build_plan(layout: Layout, manifest: Manifest) -> int:
    """Run `appliance tensorrt build`, which builds nothing if a plan exists and fits.

    Its output goes to standard error. Returns its exit status; if that is not 0, the command has printed the error.
    """
    words = ["tensorrt", "build", manifest.model, "--target", manifest.target, "--preset", manifest.preset]
    command = [sys.executable, "-I", "-m", "appliance.cli", "--root", str(layout.root), *words]
    # preexec_fn calls only prctl in the child: an interrupted or killed `up` leaves no build running.
    built = subprocess.run(command, check=False, stdout=2, preexec_fn=dies_with(os.getpid()))
    return built.returncode


def open_served(layout: Layout, manifest: Manifest) -> ServedPlan:
    """The artefact's current plan. The engine verifies the plan's bytes when it loads the plan.

    Raises:
        UnknownModelError: there is no plan.
        IntegrityError, UnsupportedError: the plan's record is damaged, or belongs to another box.
    """
    plan = PlanStore(layout.engines).current(manifest)
    if plan is None:
        raise UnknownModelError(
            f"this box has no TensorRT plan for {manifest.model}",
            hint=f"build it: appliance tensorrt build {manifest.model} --target {manifest.target} "
            f"--preset {manifest.preset}",
        )
    return ServedPlan(plan, read_record(plan).key.profile, manifest.shape.cache_bytes_per_token)
