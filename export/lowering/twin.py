"""The graph that stands in for an artefact's own where no GPU computes that: its weights, for this machine's CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from appliance.artefact.manifest import TENSORRT
from export.architecture import Architecture
from export.checkpoint import Checkpoint
from export.lowering import ort
from export.lowering.decoder import Progress
from export.lowering.element import Element
from export.presets import HALF, Preset
from export.quantise import quantise_signed

_MATRIX = 2


def build(
    checkpoint: Checkpoint, architecture: Architecture, preset: Preset, tokens: int, folder: Path, progress: Progress
) -> None:
    """Write the twin of a preset's graph; see `Preset.twin`, and `ort.build` for the arguments and what is raised.

    TensorRT's own graph needs an ONNX Runtime that knows its opset, and CPUs have no kernels for bfloat16. So its
    twin is a graph for ONNX Runtime whose matrices are what TensorRT dequantises its own to.
    """
    if preset.runtime == TENSORRT:
        checkpoint = _Dequantised(checkpoint, architecture, preset)
        preset = replace(preset, body=HALF, head=HALF, embedding=HALF, exemptions=())
    ort.build(checkpoint, architecture, preset.twin, tokens, folder, progress)


class _Dequantised:
    """A checkpoint whose matrices went through a preset for TensorRT and back to floats."""

    def __init__(self, checkpoint: Checkpoint, architecture: Architecture, preset: Preset) -> None:
        self._checkpoint = checkpoint
        self._architecture = architecture
        self._preset = preset
        self._scale_type = Element.of(preset).rounded_to.numpy()

    @property
    def config(self) -> Mapping[str, Any]:
        return self._checkpoint.config

    @property
    def files(self) -> Mapping[str, Path]:
        return self._checkpoint.files

    @property
    def metadata(self) -> Mapping[str, Any]:
        return self._checkpoint.metadata

    def names(self) -> Sequence[str]:
        return self._checkpoint.names()

    def shape(self, name: str) -> tuple[int, ...]:
        return self._checkpoint.shape(name)

    def source_type(self, name: str) -> str:
        return self._checkpoint.source_type(name)

    def read(self, name: str) -> npt.NDArray[np.float32]:
        array = self._checkpoint.read(name)
        if array.ndim < _MATRIX:
            return array
        weights = self._preset.held(name, self._architecture)
        return array if weights.is_float else quantise_signed(array, weights, self._scale_type, name).floats()

    def raw(self, name: str) -> npt.NDArray[np.uint8]:
        return self._checkpoint.raw(name)
