"""A changed checkpoint is read or refused: no memory without bound, no error without a name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.errors import UnsupportedError
from appliance.number import real, whole
from export.checkpoint import open_checkpoint
from export.reading import architecture_of
from tests.checkpoints import make_tiny_checkpoint
from tests.installed import files_in

ROOT = Path(__file__).resolve().parents[2]


def test_whatever_a_checkpoint_states_it_is_read_or_refused_within_a_gigabyte() -> None:
    program = [sys.executable, "-m", "tests.export.mutants", "8"]
    ended = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    *faults, counts = map(json.loads, ended.stdout.splitlines())
    assert faults == []
    assert counts["refused"] > counts["read"] > 0


@pytest.mark.parametrize(
    ("key", "value"), [("num_hidden_layers", 3), ("intermediate_size", 96), ("vocab_size", 321), ("hidden_size", 128)]
)
def test_a_size_that_no_tensor_has_is_refused_by_the_tensors_name(tmp_path: Path, key: str, value: int) -> None:
    make_tiny_checkpoint(tmp_path, **{key: value})
    with pytest.raises(UnsupportedError, match="tensor"):
        architecture_of(open_checkpoint(files_in(tmp_path)))


@pytest.mark.parametrize("value", [0, 9, -1, True, 1.0, "1", None, 10**4000, -(10**4000), [1] * 9999])
def test_a_whole_number_beyond_its_bounds_is_refused_in_one_short_line(value: object) -> None:
    with pytest.raises(ValueError, match="1 to 8") as caught:
        whole(value, least=1, most=8)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("value", [-0.1, 2, float("nan"), float("inf"), True, "1", None, 10**400])
def test_a_number_beyond_its_bounds_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="expected a number"):
        real(value, least=0.0, most=1.0)
    assert real(1, least=0.0) == 1.0
