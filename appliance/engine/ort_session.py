"""Opens a graph with ONNX Runtime and converts its errors. The caller checks the artefact first (`check_graph`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from appliance.cores import physical_cores
from appliance.errors import EngineError, NoSpaceError
from appliance.gpu import is_lasting, lost
from appliance.onnx_runtime import ort

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
Provider = str | tuple[str, dict[str, str]]
_CUDA_FAILURE = re.compile(r"CUDA failure (\d+)")
_NO_MEMORY = re.compile(r"CUDA failure 2\b|[Ff]ailed to allocate memory|bad_alloc")


def open_session(graph: Path, providers: Sequence[Provider], threads: int | None, operators: str | None = None) -> Any:
    """Load a graph.

    Args:
        graph: the ONNX file, already checked.
        providers: ONNX Runtime's names of the providers with their options, in order of preference.
        threads: threads for operators on the CPU; None uses all physical cores that this process may use.
        operators: the verified library of the appliance's own operators, for a packed graph.

    Raises:
        NoSpaceError: there is not enough memory for the weights.
        EngineError: ONNX Runtime rejects the graph.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or physical_cores()
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.enable_mem_pattern = False  # it would keep a memory plan for every prompt length
    if providers[0] != CPU:
        # Save device memory: allocate weights outside the arena of working memory, because the arena rounds sizes up.
        options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    try:
        if operators is not None:
            options.register_custom_ops_library(operators)
        return ort.InferenceSession(str(graph), options, providers=list(providers))
    except Exception as error:  # ONNX Runtime's errors have no narrower base class
        if _NO_MEMORY.search(str(error)):
            raise NoSpaceError(f"not enough memory for the weights of {graph.name}: {error}") from error
        raise EngineError(f"ONNX Runtime cannot load {graph.name}: {error}", hint="export the model again") from error


def step_error(error: Exception) -> EngineError:
    """The error of a failed run. Most faults concern one step; after some, the device fails every later call."""
    found = _CUDA_FAILURE.search(str(error))
    if found and is_lasting(int(found[1])):
        return lost(str(error))
    return EngineError(f"ONNX Runtime failed in a step: {error}")
