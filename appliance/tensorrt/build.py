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
from appliance.errors import ApplianceError, UnknownModelError, UsageError
from appliance.gpu import Gpu
from appliance.memory import peak_bytes
from appliance.tensorrt.box_key import BoxKey
from appliance.tensorrt.compile import FLAGS, compile_plan
from appliance.tensorrt.find import TensorRt
from appliance.tensorrt.open_plan import check_gpu, read_plan, read_record
from appliance.tensorrt.plan_key import PlanKey, Profile, graph_digests
from appliance.tensorrt.plan_store import PLAN, RECORD, PlanStore
from appliance.tensorrt.preflight import check_disk, check_gpu_memory, check_main_memory
from appliance.tensorrt.record import PlanRecord

# Runs a plan that was built this moment and compares what it answers with the reference; returns the figures. It is
# given the plan's folder, whose record is written already, the artefact's, and the manifest.
Smoke = Callable[[Path, Path, Manifest], Mapping[str, float]]


@dataclass(frozen=True)
class Site:
    """What a plan is built from, with, and for.

    Attributes:
        artefact: the folder of the artefact.
        manifest: what is in it.
        tensorrt: see TensorRt.
        gpu: the one that is to run the plan.
        driver: see `installed_driver`.
        profile: see Profile.
    """

    artefact: Path
    manifest: Manifest
    tensorrt: TensorRt
    gpu: Gpu
    driver: str
    profile: Profile

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


def check_buildable(manifest: Manifest, profile: Profile, gpu: Gpu) -> None:
    """Refuse a profile that the model does not have, or that this box cannot hold.

    Args:
        manifest: the artefact's.
        profile: the shapes that are wanted.
        gpu: the one that is to run the plan, of the kind that the artefact was exported for.

    Raises:
        UsageError: the context is longer than the model's.
        NoSpaceError: see `check_gpu_memory`.
    """
    if profile.context_tokens > manifest.shape.context_tokens:
        raise UsageError(
            f"a context of {profile.context_tokens} tokens is longer than the model's, {manifest.shape.context_tokens}",
            hint=f"build with --context {manifest.shape.context_tokens} or less",
        )
    check_gpu_memory(gpu, manifest, profile)


def ensure_plan(store: PlanStore, site: Site, smoke: Smoke, watcher: Watcher) -> Ensured:
    """Return the plan for this site, built now unless it is there and proved; it is the current one then.

    A plan that an upgrade made stale, or whose bytes are not those that were built, is built again. The caller has been
    through `check_buildable`.

    Raises:
        ApplianceError: see `build_plan`.
    """
    plan = store.plan(site.manifest, site.key.name)
    with store.changing(lambda: watcher.note("waiting until another build has finished")):
        try:
            record = _proved(plan, site)
        except UnknownModelError:
            watcher.note(_why(store, site))
        except ApplianceError as error:
            watcher.note(f"building the plan again: {error.message}")
        else:
            store.switch(plan)
            return Ensured(plan, record, was_built=False)
        return Ensured(plan, build_plan(store, site, smoke, watcher), was_built=True)


def build_plan(store: PlanStore, site: Site, smoke: Smoke, watcher: Watcher) -> PlanRecord:
    """Build a plan and make it the current one. The store is held.

    1. The artefact goes through the gate.
    2. The plan is compiled into the staging folder, and its signed record joins it.
    3. The smoke test opens it as the engine will, runs it and compares it with the reference.
    4. Its figures join the record.
    5. The folder is moved to its place, and `current` is pointed at it.

    Until 5 nothing has changed but the timing cache.

    Raises:
        IntegrityError, UnsafeFormatError, UnsupportedError: see the gate and `compile_plan`.
        NoSpaceError: see `check_main_memory`, `check_disk`.
        NoSpaceError, EngineError, KeyboardInterrupt: see `compile_plan`.
        QualityError: the plan does not answer like the reference.
    """
    begun, key, manifest = time.monotonic(), site.key, site.manifest
    box = BoxKey.open_or_create(store.box_key)
    check_main_memory(manifest)
    check_disk(store.folder, manifest)
    check_graph(site.artefact, manifest)
    timings = store.timings(key.flavour, key.version, key.compute_capability)
    plan, measured = compile_plan(
        site.tensorrt, site.artefact, key.compute_capability, site.profile, _kept(timings), watcher.advance
    )
    if measured:
        durable.replace(timings, measured)
    record = PlanRecord(
        model=manifest.model,
        target=manifest.target,
        preset=manifest.preset,
        key=key,
        gpu=site.gpu.name,
        gpu_uuid=site.gpu.uuid,
        size_bytes=plan.nbytes,
        sha256=hashlib.sha256(plan).hexdigest(),
        smoke={},
        seconds=round(time.monotonic() - begun, 3),
        peak_bytes=peak_bytes(),
        built_at=datetime.now(timezone.utc).replace(microsecond=0),
    )
    with store.staged(manifest, key.name) as staged:
        (staged / PLAN).write_bytes(plan)
        del plan
        (staged / RECORD).write_bytes(record.to_bytes(box))
        watcher.note("comparing the plan with the reference")
        record = dataclasses.replace(record, smoke=smoke(staged, site.artefact, manifest))
        (staged / RECORD).write_bytes(record.to_bytes(box))
        store.publish(staged, store.plan(manifest, key.name))
    return record


def _proved(plan: Path, site: Site) -> PlanRecord:
    record = read_record(plan)
    check_gpu(record, site.gpu)
    read_plan(plan, record)
    return record


def _why(store: PlanStore, site: Site) -> str:
    """Why a plan is built that was not there."""
    current = store.current(site.manifest)
    try:
        before = read_record(current) if current else None
    except ApplianceError as error:
        return f"building the plan again: {error.message}"
    if before is None:
        return f"building a plan for {site.gpu.name}: {site.profile}"
    return f"building another plan: {site.key.changes_from(before.key)}"


def _kept(timings: Path) -> bytes:
    with suppress(FileNotFoundError):
        return timings.read_bytes()
    return b""
