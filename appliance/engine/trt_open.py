"""Opens a plan on the GPU. Import only for an artefact that needs it: a box without a GPU lacks the packages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance.artefact import Manifest, ModelShape
from appliance.capacity import Fit
from appliance.engine.cuda_memory import CudaMemory
from appliance.engine.cuda_stream import CudaStream
from appliance.engine.device_fit import DeviceFit, free_memory
from appliance.engine.memory import Memory
from appliance.engine.trt_executor import LaunchStream, TrtExecutor
from appliance.engine.trt_runner import TrtRunner
from appliance.errors import NoSpaceError
from appliance.gpu import Gpu
from appliance.tensorrt.open_plan import open_plan


def open_trt_runner(plan: Path, manifest: Manifest, gpu: Gpu, *, slots: int, running: int, capacity: int) -> TrtRunner:
    """Verify a plan of an artefact's graph, and load it on the first GPU.

    Args:
        plan: the plan's folder.
        manifest: manifest of the artefact.
        gpu: the first GPU.
        slots: slots of the cache.
        running: maximum number of slots that decode at the same time.
        capacity: tokens that a slot must hold.

    Raises:
        UnknownModelError, IntegrityError, UnsupportedError, MissingProgramError: see `open_plan`.
        UsageError: the plan's profiles are too small for `running` or `capacity`.
        NoSpaceError: the plan and its cache do not fit the GPU's free memory.
        EngineError: TensorRT rejects the plan, or CUDA fails.
    """
    memory = CudaMemory()
    free = free_memory(memory, shared=gpu.integrated)  # before the plan's bytes take memory, which may be shared
    opened = open_plan(plan, manifest, gpu)
    cache = opened.record.key.profile.cache(slots)
    fit = Fit(free, len(opened.content), manifest.shape.cache_bytes_per_token, cache)
    stream = CudaStream(memory.stream)
    executor = load_executor(opened.tensorrt.module, memory, stream, opened.content, manifest.shape, fit)
    return TrtRunner(executor, manifest.shape, slots=slots, running=running, capacity=capacity)


def load_executor(
    trt: Any, memory: Memory, stream: LaunchStream, plan: bytes, shape: ModelShape, fit: Fit
) -> TrtExecutor:
    """Load a plan if it fits; see `open_trt_runner`. The plan fixes the capacity, not the configuration.

    Raises:
        NoSpaceError, EngineError: see `open_trt_runner`.
    """
    wanted = DeviceFit(fit, "lower slots, or build the plan again with a shorter --context")
    wanted.check()
    try:
        return TrtExecutor(trt, memory, stream, plan, shape, fit.cache.slots)
    except NoSpaceError as error:
        raise wanted.refused(error) from error
