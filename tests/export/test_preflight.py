"""What an export needs is added up before it starts, and a machine that is too small is told so."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from appliance.errors import NoSpaceError
from export.architecture import describe
from export.checkpoint import open_checkpoint
from export.pipeline import LOWERINGS
from export.preflight import Needs, check_memory
from export.presets import PRESETS, Preset
from tests.checkpoints import make_tiny_checkpoint
from tests.installed import files_in
from tests.refusals import refused


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
@pytest.mark.parametrize("tie", [False, True])
def test_the_estimate_is_close_to_what_is_written(tmp_path: Path, preset: Preset, tie: bool) -> None:
    checkpoint = open_checkpoint(files_in(make_tiny_checkpoint(tmp_path / "checkpoint", tie=tie, layers=4, inner=192)))
    architecture = describe(checkpoint.config)
    needs = Needs.of(checkpoint, architecture, preset)
    (tmp_path / "graph").mkdir()
    build = LOWERINGS[preset.runtime]
    build(checkpoint, architecture, preset, architecture.vocabulary, tmp_path / "graph", lambda _done, _total: None)
    # Each tensor begins at a page of 4096 bytes, which matters only in a model as tiny as this.
    tensors = len(checkpoint.names()) * 3
    written = (tmp_path / "graph" / "model.onnx.data").stat().st_size
    assert 0.8 * (written - tensors * 4096) <= needs.output_bytes <= 1.2 * written
    assert needs.largest_bytes == 320 * 64 * 4


def test_too_little_memory_is_refused_with_the_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=10_000_000))
    with refused(NoSpaceError, "12.0 MB", "2 x 5.0 MB") as caught:
        check_memory(Needs(output_bytes=2_000_000, largest_bytes=5_000_000, float_bytes=0))
    assert caught.value.exit_code == 4
    check_memory(Needs(output_bytes=0, largest_bytes=4_000_000, float_bytes=0))
