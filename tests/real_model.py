"""The real model for tests marked `model`: pulled and exported with the product's own commands, kept between runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from appliance.layout import Layout
from appliance.lock import locked
from appliance.store import ArtefactStore
from export.presets import DEFAULT

NAME = "qwen2.5-coder-0.5b-instruct"


def prepared_layout(run: str | None = None) -> Layout:
    """A box beside the download cache with the model pulled and exported; seconds when it is there already.

    Args:
        run: the name of a run of tests. Only the first of its processes looks whether all is there and as it should be.
    """
    cache = Layout.from_environment(os.environ).cache
    layout = Layout(root=cache / "tests", cache=cache)
    checked = layout.root / "checked-in"
    with locked(layout.root / "preparing"):
        if run is None or not checked.is_file() or checked.read_text() != run:
            for words in (["model", "pull", NAME], ["export", NAME]):
                subprocess.run([sys.executable, "-m", "appliance.cli", "--root", str(layout.root), *words], check=True)
            checked.write_text(run or "")
    return layout


def artefact_of(layout: Layout) -> Path:
    """The folder of the exported model."""
    folder = ArtefactStore(layout).releases(NAME, f"cpu-{DEFAULT}").current()
    assert folder is not None
    return folder
