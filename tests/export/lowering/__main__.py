"""Writes the graphs that tests/golden keeps as text: `python -m tests.export.lowering`, after a change on purpose."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.export.lowering.test_golden import GOLDEN, described

for path, model_type in GOLDEN.items():
    with tempfile.TemporaryDirectory() as folder:
        path.write_text(described(Path(folder), model_type), encoding="utf-8")
