from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.float_gguf import write_float_gguf
from export.checkpoint import GgufCheckpoint
from tests.gguf_files import make_tiny_gguf


@pytest.mark.parametrize("kind", ["Q8_0", "Q5_0"])
def test_the_float_file_says_the_same_as_the_quantised_one(tmp_path: Path, kind: str):
    source = make_tiny_gguf(tmp_path / "model.gguf", kind=kind)
    write_float_gguf(source, tmp_path / "float.gguf")
    given, made = GgufCheckpoint(source), GgufCheckpoint(tmp_path / "float.gguf")
    assert made.config == given.config
    assert made.names() == given.names()
    for name in given.names():
        exact = given.read(name)
        assert made.source_type(name) == ("F16" if exact.ndim > 1 else "F32")
        np.testing.assert_allclose(made.read(name), exact, rtol=1e-3, atol=1e-6)


def test_words_and_settings_travel(tmp_path: Path):
    source = make_tiny_gguf(tmp_path / "model.gguf", kind="Q8_0")
    write_float_gguf(source, tmp_path / "float.gguf")
    given, made = GgufCheckpoint(source).metadata, GgufCheckpoint(tmp_path / "float.gguf").metadata
    kept = {key: value for key, value in given.items() if key != "general.file_type"}
    assert {key: value for key, value in made.items() if key != "general.file_type"} == kept
