"""Opens the runner for an artefact. Only the manifest determines the runner, never the installed packages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance.artefact import Manifest
from appliance.artefact.manifest import GRAPH, ORT_CPU, ORT_CUDA, TENSORRT
from appliance.engine.memory import HostMemory
from appliance.engine.ort_runner import OrtRunner
from appliance.engine.ort_session import CPU, open_session
from appliance.engine.runner import Runner
from appliance.errors import UnsupportedError, UsageError
from appliance.gpu import find_gpu
from appliance.inference.config import EngineConfig
from appliance.ops.library import library as operator_library
from appliance.packed.open import PackedGraph
from appliance.packed.record import PackedKey


def open_runner(
    artefact: Path,
    manifest: Manifest,
    *,
    slots: int,
    capacity: int,
    config: EngineConfig,
    packed: PackedGraph | None = None,
) -> Runner:
    """Load the artefact's checked graph, with a cache of `slots` slots of `capacity` tokens.

    If `packed` is given (see `packed_graph`), this function checks and loads it instead of the artefact's graph.

    Raises:
        UsageError: the artefact needs a plan, and the configuration names none, or the plan is too small.
        UnknownModelError, IntegrityError: see `open_plan`.
        IntegrityError, UnsupportedError, UnsafeFormatError: see `PackedGraph`.
        UnsupportedError: this program has no runner for the artefact, or the box has no GPU.
        MissingProgramError: the runtime for the artefact is not installed.
        EngineError, NoSpaceError: see the runner.
    """
    if manifest.runtime == ORT_CPU:
        session = _open_cpu_session(artefact, packed, config.threads)
        return OrtRunner(session, HostMemory(), manifest.shape, slots=slots, capacity=capacity)
    if manifest.runtime == ORT_CUDA:
        gpu = find_gpu()  # its error is the clearest if the driver or the GPU is missing
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


def packed_graph(manifest: Manifest, config: EngineConfig) -> PackedGraph | None:
    """The packed graph that the configuration names; None if the artefact's own graph is loaded.

    Raises:
        IntegrityError, UnsupportedError: see `PackedGraph.find`.
    """
    if config.packed is None or manifest.runtime != ORT_CPU:
        return None
    return PackedGraph.find(Path(config.packed), PackedKey.of(manifest, operator_library().digest))


def _open_cpu_session(artefact: Path, packed: PackedGraph | None, threads: int | None) -> Any:
    if packed is None:
        return open_session(artefact / GRAPH, [CPU], threads)
    return open_session(packed.check(), [CPU], threads, operator_library().path)
