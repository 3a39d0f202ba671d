"""Opens the runner that an artefact was exported for. It decides by the manifest alone, never by what is installed."""

from __future__ import annotations

from pathlib import Path

from appliance.artefact import Manifest
from appliance.artefact.manifest import GRAPH, ORT_CPU, ORT_CUDA, TENSORRT
from appliance.engine.memory import HostMemory
from appliance.engine.ort_runner import OrtRunner
from appliance.engine.ort_session import CPU, open_session
from appliance.engine.runner import Runner
from appliance.errors import UnsupportedError, UsageError
from appliance.gpu import find_gpu
from appliance.inference.config import EngineConfig


def open_runner(artefact: Path, manifest: Manifest, *, slots: int, capacity: int, config: EngineConfig) -> Runner:
    """Load the artefact's graph, already through the gate, with a cache of `slots` slots of `capacity` tokens.

    Raises:
        UsageError: the artefact is computed by a plan, and none is named, or it is too small for what is asked.
        UnknownModelError, IntegrityError: see `open_plan`.
        UnsupportedError: this program has no runner for it, or the box no GPU.
        MissingProgramError: what computes it is not installed.
        EngineError, NoSpaceError: see the runner.
    """
    if manifest.runtime == ORT_CPU:
        session = open_session(artefact / GRAPH, [CPU], config.threads)
        return OrtRunner(session, HostMemory(), manifest.shape, slots=slots, capacity=capacity)
    if manifest.runtime == ORT_CUDA:
        gpu = find_gpu()  # it says best what is missing
        from appliance.engine.ort_cuda import open_cuda_runner  # noqa: PLC0415 - a box without a GPU lacks its packages

        return open_cuda_runner(artefact, manifest, slots=slots, capacity=capacity, shared=gpu.integrated)
    if manifest.runtime == TENSORRT:
        if config.plan is None:
            raise UsageError(
                f"{manifest.model} needs a TensorRT plan, but none is given",
                hint="start the model with appliance up, which builds the plan",
            )
        gpu = find_gpu()
        from appliance.engine.trt_open import open_trt_runner  # noqa: PLC0415 - a box without a GPU lacks its packages

        plan = Path(config.plan)
        return open_trt_runner(plan, manifest, gpu, slots=slots, running=config.slots, capacity=capacity)
    raise UnsupportedError(f"{manifest.model} was exported for the unknown runtime {manifest.runtime!r}")
