"""Opens a graph on the GPU with ONNX Runtime's CUDA provider. The same runner as on the CPU runs the graph.

Import this module only for an artefact that needs it: a box without a GPU has neither the package nor the libraries.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance.artefact import Manifest
from appliance.artefact.manifest import GRAPH
from appliance.capacity import Fit
from appliance.engine.cuda_memory import CudaMemory
from appliance.engine.device_fit import DeviceFit, free_memory
from appliance.engine.exactness import graph_cache
from appliance.engine.ort_runner import OrtRunner
from appliance.engine.ort_session import CPU, CUDA, Provider, open_session
from appliance.errors import MissingProgramError, NoSpaceError
from appliance.extras import install_command
from appliance.onnx_runtime import ort


def open_cuda_runner(artefact: Path, manifest: Manifest, *, slots: int, capacity: int, shared: bool) -> OrtRunner:
    """Load an artefact's graph on the first GPU. The caller has checked the graph with `check_graph`.

    Args:
        artefact: the artefact's folder.
        manifest: the artefact's manifest.
        slots: slots of the cache.
        capacity: tokens that a slot must hold.
        shared: whether GPU and CPU share the memory.

    Raises:
        MissingProgramError: ONNX Runtime or a CUDA library is missing or unsuitable.
        NoSpaceError: the model and its cache do not fit the GPU's free memory.
        EngineError: ONNX Runtime rejects the graph, or CUDA fails.
    """
    check_provider()
    memory = CudaMemory()
    weights = sum(entry.size_bytes for entry in manifest.files if entry.name.startswith(GRAPH))
    free, row_bytes = free_memory(memory, shared=shared), manifest.shape.cache_bytes_per_token
    wanted = DeviceFit(Fit(free, weights, row_bytes, graph_cache(slots, capacity)))
    wanted.check()
    try:
        session = open_session(artefact / GRAPH, providers(memory.stream), threads=1)
        check_computes_on_gpu(session)
        return OrtRunner(session, memory, manifest.shape, slots=slots, capacity=capacity, on_device=True)
    except NoSpaceError as error:
        raise wanted.refused(error) from error


def check_provider() -> None:
    """Raise MissingProgramError unless ONNX Runtime was built for CUDA."""
    if CUDA not in ort.get_available_providers():
        raise MissingProgramError("the installed ONNX Runtime supports only the CPU", hint=_hint())
    # Load CUDA's libraries from pip's packages, else from the system.
    ort.preload_dlls(directory="")


def providers(stream: int) -> list[Provider]:
    """ONNX Runtime's providers, with the CUDA stream for all operations."""
    options = {
        "device_id": "0",
        "user_compute_stream": str(stream),
        # Working memory grows only by the required size; the default doubles it.
        "arena_extend_strategy": "kSameAsRequested",
        # Compute float32 operations in float32: TF32 keeps only 10 bits of the mantissa.
        "use_tf32": "0",
        # Sum the squares of 16-bit activations in 32 bits.
        "enable_skip_layer_norm_strict_mode": "1",
    }
    return [(CUDA, options), CPU]


def check_computes_on_gpu(session: Any) -> None:
    """Raise MissingProgramError if ONNX Runtime fell back to the CPU: it only writes a log line in that case."""
    if session.get_providers()[0] != CUDA:
        raise MissingProgramError(
            "ONNX Runtime cannot compute on the GPU: a library of CUDA or cuDNN is missing or has another version",
            hint=f"Triton's log names it; {_hint()}",
        )


def _hint() -> str:
    return f"install ONNX Runtime for GPUs in its place: {install_command('cuda', replaces='onnxruntime')}"
