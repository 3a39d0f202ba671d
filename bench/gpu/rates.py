"""Measures the hardware's limits: memory bandwidth, and operations per second of a matrix product."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from appliance.onnx_runtime import ort

_OPSET = 21
_REPEATS = 20
_DTYPES = {"cpu": (TensorProto.FLOAT, np.float32), "cuda": (TensorProto.FLOAT16, np.float16)}


@dataclass(frozen=True)
class Rates:
    """The limits of the hardware for a roofline model.

    Attributes:
        bytes_per_s: bytes that an element-wise operator reads and writes, with a tensor far larger than any cache.
        flops: operations of a square matrix product; a multiplication and an addition count as two.
    """

    bytes_per_s: float
    flops: float


def measure_rates(device: str, *, elements: int, side: int) -> Rates:
    """Measure both; the best of several runs counts, because a limit is the best that can be reached.

    Args:
        device: "cpu" (32-bit floats) or "cuda" (16-bit floats).
        elements: number of elements of the tensor for the bandwidth.
        side: rows and columns of the matrices.

    Raises:
        MissingProgramError: ONNX Runtime was built without CUDA.
    """
    if device == "cuda":
        from appliance.engine.ort_cuda import check_provider  # noqa: PLC0415 - the quick run needs no CUDA

        check_provider()
    size = np.dtype(_DTYPES[device][1]).itemsize
    moved = _best_s(device, helper.make_node("Neg", ["a"], ["c"]), {"a": (elements,)})
    product = helper.make_node("MatMul", ["a", "b"], ["c"])
    multiplied = _best_s(device, product, {"a": (side, side), "b": (side, side)})
    return Rates(2 * elements * size / moved, 2 * side**3 / multiplied)


def _best_s(device: str, node: Any, shapes: dict[str, tuple[int, ...]]) -> float:
    element, dtype = _DTYPES[device]
    inputs = [helper.make_tensor_value_info(name, element, shape) for name, shape in shapes.items()]
    output = helper.make_tensor_value_info("c", element, next(iter(shapes.values())))
    graph = helper.make_graph([node], "roof", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=10)
    provider = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}[device]
    session = ort.InferenceSession(model.SerializeToString(), providers=[provider])
    binding = session.io_binding()
    generator = np.random.default_rng(0)
    for name, shape in shapes.items():
        array = generator.standard_normal(shape, np.float32).astype(dtype)
        binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array, device, 0))
    binding.bind_output("c", device, 0)
    best = float("inf")
    for _ in range(_REPEATS):
        begun = time.perf_counter()
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        best = min(best, time.perf_counter() - begun)
    return best
