"""Versions of the libraries that affect an artefact's bytes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

READING = ("gguf", "ml-dtypes", "numpy", "safetensors")
LOWERING = (*READING, "onnx", "onnx-ir", "protobuf")
TOKENISING = ("tokenizers",)
MEASURING = (*LOWERING, *TOKENISING, "onnxruntime")
_IN_ITS_PLACE = {"onnxruntime": "onnxruntime-gpu"}


def versions(names: tuple[str, ...]) -> Mapping[str, str]:
    """The installed version of each distribution."""
    return {name: _version(name) for name in names}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        # The library with CUDA has another package name.
        if name not in _IN_ITS_PLACE:
            raise
        return version(_IN_ITS_PLACE[name])
