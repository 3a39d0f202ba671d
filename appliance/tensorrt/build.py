"""Builds a plan on the box that will run it, and makes it current. A partly built plan is never visible."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Protocol

from appliance import durable
from appliance.artefact.gate import check_graph
from appliance.artefact.manifest import Manifest
from appliance.derived.box_key import BoxKey
from appliance.derived.store import RECORD
from appliance.errors import ApplianceError, UsageError
from appliance.gpu import Gpu
from appliance.memory import peak_bytes
from appliance.tensorrt.compile import FLAGS, compile_plan
from appliance.tensorrt.find import TensorRt
from appliance.tensorrt.open_plan import check_gpu, read_plan, read_record
from appliance.tensorrt.plan_key import PlanKey, Profile, weights_bytes
from appliance.tensorrt.plan_store import PLAN, PlanStore
from appliance.tensorrt.preflight import check_disk, check_gpu_memory, check_main_memory
from appliance.tensorrt.record import PlanRecord

# Runs the new plan, compares its output with the reference, and returns the figures. Arguments: the plan's folder,
# which already contains the record, the artefact's folder, and the manifest.
Smoke = Callable[[Path, Path, Manifest], Mapping[str, float]]


@dataclass(frozen=True)
class BuildInputs:
    """The inputs of a build.

    Attributes:
        artefact: the folder of the artefact.
        manifest: the artefact's manifest.
        tensorrt: see TensorRt.
        gpu: the GPU that will run the plan.
        driver: see `installed_driver`.
        profile: see Profile.
        slots: number of slots of the cache that the plan is served with.
    """

    artefact: Path
    manifest: Manifest
    tensorrt: TensorRt
    gpu: Gpu
    driver: str
    profile: Profile
    slots: int

    @property
    def key(self) -> PlanKey:
        """The key of the plan: all that the plan depends on."""
        return PlanKey(
            graph=self.manifest.graph_digests(),
            flavour=self.tensorrt.flavour.value,
            version=self.tensorrt.version,
            compute_capability=self.gpu.compute_capability,
            driver=self.driver,
            profile=self.profile,
            flags=FLAGS,
        )


class Watcher(Protocol):
    """Receives messages and progress during a build."""

    def note(self, text: str) -> None:
        """Receive one line for the person who started the build."""

    def advance(self, percent: int) -> None:
        """Receive progress, in percent since the last call; called from TensorRT's threads."""


@dataclass(frozen=True)
class Ensured:
    """A plan that is current and verified.

    Attributes:
        folder: where it is.
        record: see PlanRecord.
        was_built: this call built the plan.
    """

    folder: Path
    record: PlanRecord
    was_built: bool


def check_buildable(manifest: Manifest, profile: Profile, gpu: Gpu, slots: int) -> None:
    """Check that the model supports the profile, and that the GPU's memory is large enough.

    Args:
        manifest: the artefact's manifest.
        profile: the requested shapes.
        gpu: the GPU that will run the plan, of the kind that the artefact was exported for.
        slots: number of slots of the cache that the plan is served with.

    Raises:
        UsageError: the context is longer than the model's.
        NoSpaceError: see `check_gpu_memory`.
    """
    if profile.context_tokens > manifest.shape.context_tokens:
        raise UsageError(
            f"a context of {profile.context_tokens} tokens exceeds the model's limit of "
            f"{manifest.shape.context_tokens}",
            hint=f"build with --context {manifest.shape.context_tokens} or less",
        )
    check_gpu_memory(gpu, manifest, profile, slots, weights_bytes(manifest))


def ensure_plan(store: PlanStore, inputs: BuildInputs, smoke: Smoke, watcher: Watcher) -> Ensured:
    """Return the plan for these inputs and make it current. Builds it, unless a valid plan exists.

    The plan is built again if an upgrade made it stale, or if its bytes changed since the build. The caller has called
    `check_buildable`.

    Raises:
        ApplianceError: see `build_plan`.
    """
    releases = store.releases(inputs.manifest)
    with store.changing(lambda: watcher.note("waiting for another build to finish")):
        plan = releases.find(inputs.key.name)
        if plan is None:
            watcher.note(_why(store, inputs))
            return build_plan(store, inputs, smoke, watcher)
        try:
            record = _proved(plan, inputs)
        except ApplianceError as error:
            watcher.note(f"building the plan again: {error.message}")
            return build_plan(store, inputs, smoke, watcher)
        releases.switch(plan)
        return Ensured(plan, record, was_built=False)


def build_plan(store: PlanStore, inputs: BuildInputs, smoke: Smoke, watcher: Watcher) -> Ensured:
    """Build a plan and make it current. The caller holds the store's lock.

    1. `check_graph` verifies the artefact.
    2. TensorRT compiles the plan into the staging folder; the signed record is written beside the plan.
    3. The smoke test opens the plan as the engine will, runs it and compares it with the reference.
    4. The smoke test's figures are added to the record.
    5. The folder becomes the current release: see `Releases.publish`.

    Before step 5, only the timing cache changes.

    Raises:
        IntegrityError, UnsafeFormatError, UnsupportedError: see `check_graph` and `compile_plan`.
        NoSpaceError: see `check_main_memory`, `check_disk`, and `check_gpu_memory` with the size of the built plan.
        NoSpaceError, EngineError, KeyboardInterrupt: see `compile_plan`.
        QualityError: the plan's output differs from the reference.
    """
    begun, key, manifest = time.monotonic(), inputs.key, inputs.manifest
    box = BoxKey.open_or_create(store.box_key)
    check_main_memory(manifest)
    check_disk(store.folder, manifest)
    check_graph(inputs.artefact, manifest)
    timings = store.timings(key.flavour, key.version, key.compute_capability)
    plan, measured = compile_plan(
        inputs.tensorrt, inputs.artefact, key.compute_capability, inputs.profile, _kept(timings), watcher.advance
    )
    if measured:
        durable.replace(timings, measured)
    # A plan may hold a matrix twice, once for each profile: it is larger than the weights of the first check.
    check_gpu_memory(inputs.gpu, manifest, inputs.profile, inputs.slots, plan.nbytes)
    record = PlanRecord(
        model=manifest.model,
        target=manifest.target,
        preset=manifest.preset,
        key=key,
        gpu=inputs.gpu.name,
        gpu_uuid=inputs.gpu.uuid,
        size_bytes=plan.nbytes,
        sha256=hashlib.sha256(plan).hexdigest(),
        smoke={},
        seconds=round(time.monotonic() - begun, 3),
        peak_bytes=peak_bytes(),
        built_at=datetime.now(timezone.utc).replace(microsecond=0),
    )
    releases = store.releases(manifest)
    with releases.staged(key.name) as staged:
        (staged / PLAN).write_bytes(plan)
        del plan
        (staged / RECORD).write_bytes(record.to_bytes(box))
        watcher.note("comparing the plan with the reference")
        record = dataclasses.replace(record, smoke=smoke(staged, inputs.artefact, manifest))
        (staged / RECORD).write_bytes(record.to_bytes(box))
        return Ensured(releases.publish(staged), record, was_built=True)


def _proved(plan: Path, inputs: BuildInputs) -> PlanRecord:
    record = read_record(plan)
    check_gpu(record, inputs.gpu)
    read_plan(plan, record)
    return record


def _why(store: PlanStore, inputs: BuildInputs) -> str:
    """Why a missing plan must be built, for the person."""
    current = store.current(inputs.manifest)
    try:
        before = read_record(current) if current else None
    except ApplianceError as error:
        return f"building the plan again: {error.message}"
    if before is None:
        return f"building a plan for {inputs.gpu.name}: {inputs.profile}"
    return f"building another plan: {inputs.key.changes_from(before.key)}"


def _kept(timings: Path) -> bytes:
    with suppress(FileNotFoundError):
        return timings.read_bytes()
    return b""
