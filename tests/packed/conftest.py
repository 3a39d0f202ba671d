"""A small quantised artefact that every operator supports."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.presets import Preset, Rescoring, Weights
from tests.packed.small_artefact import make_small_artefact

TABLE = Weights(bits=8, block=32)
# All operators at once: 8 bits, 4 bits with and without zero points, and a head with rescoring.
PRESET = Preset(
    "balanced",
    "",
    1.0,
    body=Weights(bits=8, block=32),
    head=Weights(bits=4, block=64, symmetric=False),
    embedding=TABLE,
    rescoring=Rescoring(16, TABLE),
)


@pytest.fixture
def artefact(tmp_path: Path) -> Path:
    return make_small_artefact(tmp_path / "artefact", tmp_path / "checkpoint", PRESET)
