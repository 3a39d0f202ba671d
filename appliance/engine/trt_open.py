"""Opens a plan on the GPU. Imported for an artefact that wants it alone: a box without a GPU lacks its packages."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from appliance.artefact import Manifest, ModelShape
from appliance.engine.cuda_memory import CudaMemory
from appliance.engine.cuda_stream import CudaStream
from appliance.engine.device_room import DeviceRoom
from appliance.engine.memory import Memory
from appliance.engine.trt_executor import LaunchStream, TrtExecutor
from appliance.engine.trt_runner import TrtRunner
from appliance.errors import NoSpaceError
from appliance.gpu import Gpu
from appliance.tensorrt.open_plan import open_plan


class DeviceMemory(Memory, Protocol):
    """A memory that can run out."""

    def free_bytes(self) -> int:
        """How much is free, whoever holds the rest."""


def open_trt_runner(plan: Path, manifest: Manifest, gpu: Gpu, *, slots: int, running: int, capacity: int) -> TrtRunner:
    """Prove a plan of an artefact's graph, and load it on the first GPU.

    Args:
        plan: its folder.
        manifest: of the artefact.
        gpu: the first one.
        slots: slots of the cache.
        running: how many of them decode at the same time at most.
        capacity: tokens that a slot must hold.

    Raises:
        UnknownModelError, IntegrityError, UnsupportedError, MissingProgramError: see `open_plan`.
        UsageError: the plan's profiles are too small for that.
        NoSpaceError: the plan and its cache do not fit the GPU's free memory.
        EngineError: TensorRT refuses the plan, or CUDA fails.
    """
    opened = open_plan(plan, manifest, gpu)
    memory = CudaMemory()
    room = plan_room(manifest.shape, len(opened.content), slots, opened.record.key.profile.capacity_tokens)
    executor = load_executor(opened.tensorrt.module, memory, CudaStream(memory.stream), opened.content, room)
    return TrtRunner(executor, manifest.shape, slots=slots, running=running, capacity=capacity)


def plan_room(shape: ModelShape, plan_bytes: int, slots: int, capacity: int) -> DeviceRoom:
    """What a plan needs of the GPU. Its capacity is built into it, whatever the configuration says."""
    return DeviceRoom(
        shape, plan_bytes, slots, capacity, remedy="lower slots, or build the plan again with a shorter --context"
    )


def load_executor(trt: Any, memory: DeviceMemory, stream: LaunchStream, plan: bytes, room: DeviceRoom) -> TrtExecutor:
    """Load a plan where there is room for it; see `open_trt_runner`.

    Raises:
        NoSpaceError, EngineError: see `open_trt_runner`.
    """
    free_bytes = memory.free_bytes()
    room.check(free_bytes)
    try:
        return TrtExecutor(trt, memory, stream, plan, room.shape, room.slots)
    except NoSpaceError as error:
        raise room.refused(error, free_bytes) from error
