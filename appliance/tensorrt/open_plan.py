"""Opens a plan to run it: only one that this box built, for this artefact, this GPU and this TensorRT, byte for byte.

A plan is code for the GPU. So nothing of it is handed to TensorRT before all of this is proved.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from appliance.artefact.folder import open_regular
from appliance.artefact.manifest import Manifest
from appliance.errors import IntegrityError, UnknownModelError, UnsupportedError
from appliance.gpu import Gpu
from appliance.releases import name_of
from appliance.tensorrt.box_key import BoxKey
from appliance.tensorrt.driver import installed_driver
from appliance.tensorrt.find import Flavour, TensorRt, load_tensorrt
from appliance.tensorrt.plan_key import graph_digests
from appliance.tensorrt.plan_store import PLAN, RECORD, PlanStore
from appliance.tensorrt.record import PlanRecord

MAX_RECORD_BYTES = 1 << 20


@dataclass(frozen=True)
class OpenedPlan:
    """A plan that was proved.

    Attributes:
        record: see PlanRecord.
        tensorrt: what built it, and is to run it.
        content: the plan itself.
    """

    record: PlanRecord
    tensorrt: TensorRt
    content: bytes


def read_record(folder: Path) -> PlanRecord:
    """Read the record of a plan's folder and prove that this box wrote it. Nothing of the plan is read.

    Raises:
        UnknownModelError: there is no plan.
        IntegrityError: this box did not write the record, or it is damaged, a link, or in another plan's folder.
        UnsupportedError: it has another format.
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
    """Prove a plan and return it.

    1. Its record was written by this box (`read_record`).
    2. It was built on this GPU: a copy of the whole store on another box is refused here.
    3. It was built from this artefact's graph.
    4. The GPU's compute capability and driver, and TensorRT's flavour and version, are those of the build.
    5. Size and sha256 of the plan are the recorded ones, of the bytes that are returned.

    Args:
        folder: the plan's.
        manifest: of the artefact that is to be served.
        gpu: the one that is to run it.

    Raises:
        UnknownModelError: there is no plan.
        IntegrityError: 1, 2 or 5.
        UnsupportedError: 3 or 4; it has to be built again.
        MissingProgramError: TensorRT is not installed any more.
    """
    record = read_record(folder)
    check_gpu(record, gpu)
    check_graph(record, manifest)
    tensorrt = load_tensorrt(Flavour(record.key.flavour))
    check_versions(record, tensorrt, installed_driver(gpu))
    return OpenedPlan(record, tensorrt, read_plan(folder, record))


def check_gpu(record: PlanRecord, gpu: Gpu) -> None:
    """Prove that the plan was built on this GPU.

    Raises:
        UnsupportedError: on a GPU of another compute capability.
        IntegrityError: on another one.
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
    """Prove that the plan was built from the artefact's graph.

    Raises:
        UnsupportedError: it was built from another one.
        IntegrityError: the manifest lists no graph.
    """
    if dict(record.key.graph) != graph_digests(manifest):
        raise UnsupportedError(
            f"the plan of {record.model} was not built from the artefact's graph", hint=_rebuild(record)
        )


def check_versions(record: PlanRecord, tensorrt: TensorRt, driver: str) -> None:
    """Prove that what built the plan is what is here now.

    Raises:
        UnsupportedError: TensorRT or the driver is another.
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
    """Read the plan and prove its bytes.

    Raises:
        IntegrityError: it is missing, a link, cut short, or other bytes than those that were built.
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
    """Read at most one byte more than `most_bytes` of a plain file."""
    with os.fdopen(open_regular(path), "rb") as stream:
        return stream.read(most_bytes + 1)


def _rebuild(record: PlanRecord) -> str:
    return f"build it again: appliance tensorrt build {record.model} --target {record.target} --preset {record.preset}"
