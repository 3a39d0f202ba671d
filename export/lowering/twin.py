"""The twin: a graph with the artefact's weights for this machine's CPU, to measure artefacts for GPUs."""

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
    """Write the twin of a preset's graph; see `Preset.twin`, and `ort.build` for the arguments and errors.

    TensorRT's graph needs an ONNX Runtime that supports its opset, and ONNX Runtime has no CPU kernels for bfloat16. So
    the twin is a graph for ONNX Runtime, whose matrices are those that TensorRT gets by dequantisation.
    """
    if preset.runtime == TENSORRT:
        checkpoint = _Dequantised(checkpoint, architecture, preset)
        preset = replace(preset, body=HALF, head=HALF, embedding=HALF, exemptions=())
    ort.build(checkpoint, architecture, preset.twin, tokens, folder, progress)


class _Dequantised:
    """A checkpoint whose matrices were quantised by a preset for TensorRT and dequantised to floats."""

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
