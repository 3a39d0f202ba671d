"""Versions of the libraries that decide an artefact's bytes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

READING = ("gguf", "ml-dtypes", "numpy", "safetensors")
LOWERING = (*READING, "onnx", "onnx-ir", "protobuf")
TOKENISING = ("tokenizers",)
MEASURING = (*LOWERING, *TOKENISING, "onnxruntime")


def versions(names: tuple[str, ...]) -> Mapping[str, str]:
    """The installed version of each distribution."""
    return {name: version(name) for name in names}
