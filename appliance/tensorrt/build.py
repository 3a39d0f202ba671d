"""Builds a plan on the box that is to run it, and makes it the current one. Nothing half-built is ever seen."""

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
from appliance.errors import ApplianceError, UsageError
from appliance.gpu import Gpu
from appliance.memory import peak_bytes
from appliance.tensorrt.box_key import BoxKey
from appliance.tensorrt.compile import FLAGS, compile_plan
from appliance.tensorrt.find import TensorRt
from appliance.tensorrt.open_plan import check_gpu, read_plan, read_record
from appliance.tensorrt.plan_key import PlanKey, Profile, graph_digests, weights_bytes
from appliance.tensorrt.plan_store import PLAN, RECORD, PlanStore
from appliance.tensorrt.preflight import check_disk, check_gpu_memory, check_main_memory
from appliance.tensorrt.record import PlanRecord

# Runs a plan that was built this moment and compares what it answers with the reference; returns the figures. It is
# given the plan's folder, whose record is written already, the artefact's, and the manifest.
Smoke = Callable[[Path, Path, Manifest], Mapping[str, float]]


@dataclass(frozen=True)
class BuildInputs:
    """What a plan is built from, with, and for.

    Attributes:
        artefact: the folder of the artefact.
        manifest: what is in it.
        tensorrt: see TensorRt.
        gpu: the one that is to run the plan.
        driver: see `installed_driver`.
        profile: see Profile.
        slots: of the cache that the plan is served with.
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
        """What the plan depends on."""
        return PlanKey(
            graph=graph_digests(self.manifest),
            flavour=self.tensorrt.flavour.value,
            version=self.tensorrt.version,
            compute_capability=self.gpu.compute_capability,
            driver=self.driver,
            profile=self.profile,
            flags=FLAGS,
        )


class Watcher(Protocol):
    """Told about a build as it happens."""

    def note(self, text: str) -> None:
        """One line for a person."""

    def advance(self, percent: int) -> None:
        """So much more of the plan is built, in percent; from TensorRT's threads."""


@dataclass(frozen=True)
class Ensured:
    """A plan that is current and proved.

    Attributes:
        folder: where it is.
        record: see PlanRecord.
        was_built: it was not there before.
    """

    folder: Path
    record: PlanRecord
    was_built: bool


def check_buildable(manifest: Manifest, profile: Profile, gpu: Gpu, slots: int) -> None:
    """Refuse a profile that the model does not have, or that this box cannot hold.

    Args:
        manifest: the artefact's.
        profile: the shapes that are wanted.
        gpu: the one that is to run the plan, of the kind that the artefact was exported for.
        slots: of the cache that the plan is served with.

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
    """Return the plan from these inputs, built now unless it is there and proved; it is the current one then.

    A plan that an upgrade made stale, or whose bytes are not those that were built, is built again. The caller has been
    through `check_buildable`.

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
    """Build a plan and make it the current one. The store is held.

    1. The artefact goes through the gate.
    2. The plan is compiled into the staging folder, and its signed record joins it.
    3. The smoke test opens it as the engine will, runs it and compares it with the reference.
    4. Its figures join the record.
    5. The folder becomes a release, the current one: see `Releases.publish`.

    Until 5 nothing has changed but the timing cache.

    Raises:
        IntegrityError, UnsafeFormatError, UnsupportedError: see the gate and `compile_plan`.
        NoSpaceError: see `check_main_memory`, `check_disk`, and `check_gpu_memory` for the plan that was built.
        NoSpaceError, EngineError, KeyboardInterrupt: see `compile_plan`.
        QualityError: the plan does not answer like the reference.
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
    # A plan may hold a matrix twice, once for each profile: it is larger than the weights that were counted before.
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
    """Why a plan is built that was not there."""
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
