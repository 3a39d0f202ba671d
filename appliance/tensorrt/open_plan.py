"""Opens a plan to run it. The plan's bytes must be those that this box built for this artefact, GPU and TensorRT.

A plan contains GPU code. TensorRT gets the plan only after all checks.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from appliance.artefact.folder import open_regular
from appliance.artefact.manifest import Manifest
from appliance.derived.box_key import BoxKey
from appliance.derived.store import RECORD
from appliance.errors import IntegrityError, UnknownModelError, UnsupportedError
from appliance.gpu import Gpu
from appliance.releases import name_of
from appliance.tensorrt.driver import installed_driver
from appliance.tensorrt.find import Flavour, TensorRt, load_tensorrt
from appliance.tensorrt.plan_store import PLAN, PlanStore
from appliance.tensorrt.record import PlanRecord

MAX_RECORD_BYTES = 1 << 20


@dataclass(frozen=True)
class OpenedPlan:
    """A verified plan.

    Attributes:
        record: see PlanRecord.
        tensorrt: the TensorRT that built it and will run it.
        content: the plan's bytes.
    """

    record: PlanRecord
    tensorrt: TensorRt
    content: bytes


def read_record(folder: Path) -> PlanRecord:
    """Read the record in a plan's folder and verify that this box signed it. The plan itself is not read.

    Raises:
        UnknownModelError: there is no plan.
        IntegrityError: this box did not sign the record, or the record is damaged, a link, or in another plan's folder.
        UnsupportedError: the record has another format.
    """
    try:
        content = _read(folder / RECORD, MAX_RECORD_BYTES)
    except FileNotFoundError as error:
        raise UnknownModelError(
            f"{folder} contains no plan", hint="build it: appliance tensorrt build MODEL"
        ) from error
    record = PlanRecord.from_bytes(content, BoxKey.open(PlanStore.of_plan(folder).box_key), str(folder / RECORD))
    if name_of(folder) != record.key.name:
        raise IntegrityError(f"{folder} contains the plan of {record.key.name}", hint=_rebuild(record))
    return record


def open_plan(folder: Path, manifest: Manifest, gpu: Gpu) -> OpenedPlan:
    """Verify a plan and return it.

    1. This box signed the plan's record (`read_record`).
    2. The plan was built on this GPU: a copy of the whole store on another box fails here.
    3. The plan was built from this artefact's graph.
    4. The GPU's compute capability and driver, and TensorRT's flavour and version, are those of the build.
    5. Size and sha256 of the returned bytes are those in the record.

    Args:
        folder: the plan's folder.
        manifest: the manifest of the artefact to serve.
        gpu: the GPU that will run it.

    Raises:
        UnknownModelError: there is no plan.
        IntegrityError: 1, 2 or 5.
        UnsupportedError: 3 or 4; the plan must be built again.
        MissingProgramError: TensorRT is no longer installed.
    """
    record = read_record(folder)
    check_gpu(record, gpu)
    check_graph(record, manifest)
    tensorrt = load_tensorrt(Flavour(record.key.flavour))
    check_versions(record, tensorrt, installed_driver(gpu))
    return OpenedPlan(record, tensorrt, read_plan(folder, record))


def check_gpu(record: PlanRecord, gpu: Gpu) -> None:
    """Check that the plan was built on this GPU.

    Raises:
        UnsupportedError: the GPU has another compute capability.
        IntegrityError: it is another GPU of the same compute capability.
    """
    if record.key.compute_capability != gpu.compute_capability:
        raise UnsupportedError(
            f"the plan of {record.model} is for compute capability {record.key.compute_capability}, "
            f"but {gpu.name} has {gpu.compute_capability}",
            hint=_rebuild(record),
        )
    if record.gpu_uuid != gpu.uuid:
        raise IntegrityError(
            f"the plan of {record.model} was built on another GPU, {record.gpu} {record.gpu_uuid}; "
            f"this one is {gpu.name} {gpu.uuid}",
            hint=_rebuild(record),
        )


def check_graph(record: PlanRecord, manifest: Manifest) -> None:
    """Check that the plan was built from the artefact's graph.

    Raises:
        UnsupportedError: the plan was built from another graph.
        IntegrityError: the manifest lists no graph.
    """
    if dict(record.key.graph) != manifest.graph_digests():
        raise UnsupportedError(
            f"the plan of {record.model} was not built from the artefact's graph", hint=_rebuild(record)
        )


def check_versions(record: PlanRecord, tensorrt: TensorRt, driver: str) -> None:
    """Check that TensorRT and the driver are those that built the plan.

    Raises:
        UnsupportedError: TensorRT or the driver differs.
    """
    key = record.key
    if (key.flavour, key.version) != (tensorrt.flavour.value, tensorrt.version):
        raise UnsupportedError(
            f"the plan of {record.model} was built with {Flavour(key.flavour).title} {key.version}, "
            f"but this box has {tensorrt}",
            hint=_rebuild(record),
        )
    if key.driver != driver:
        raise UnsupportedError(
            f"the plan of {record.model} was built with driver {key.driver}, but this box has {driver}",
            hint=_rebuild(record),
        )


def read_plan(folder: Path, record: PlanRecord) -> bytes:
    """Read the plan and verify its bytes.

    Raises:
        IntegrityError: the plan is missing, a link or truncated, or its bytes are not those that were built.
    """
    path = folder / PLAN
    try:
        content = _read(path, record.size_bytes)
    except FileNotFoundError as error:
        raise IntegrityError(f"{path} is missing", hint=_rebuild(record)) from error
    if len(content) != record.size_bytes:
        raise IntegrityError(
            f"{path} does not have its original size of {record.size_bytes} bytes", hint=_rebuild(record)
        )
    if hashlib.sha256(content).hexdigest() != record.sha256:
        raise IntegrityError(f"{path} is not the plan that this box built", hint=_rebuild(record))
    return content


def _read(path: Path, most_bytes: int) -> bytes:
    """Read at most one byte more than `most_bytes` of a regular file."""
    with os.fdopen(open_regular(path), "rb") as stream:
        return stream.read(most_bytes + 1)


def _rebuild(record: PlanRecord) -> str:
    return f"build it again: appliance tensorrt build {record.model} --target {record.target} --preset {record.preset}"
