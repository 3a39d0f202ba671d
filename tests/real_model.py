"""The real models for tests marked `model`: pulled and exported with the product's own commands, kept between runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from appliance.layout import Layout
from appliance.store import ArtefactStore
from export.presets import DEFAULT

NAME = "qwen2.5-coder-0.5b-instruct"


# Of another maker and shape, small enough to be pulled beside the first.
SMALL = "smollm2-135m-instruct"


def prepared_layout() -> Layout:
    """A box beside the download cache with the model pulled and exported; seconds when it is there already."""
    layout = pulled_layout(NAME)
    run(layout, "export", NAME)
    return layout


def pulled_layout(name: str) -> Layout:
    """The same box, with this model pulled."""
    cache = Layout.from_environment(os.environ).cache
    layout = Layout(root=cache / "tests", cache=cache)
    run(layout, "model", "pull", name)
    return layout


def run(layout: Layout, *words: str) -> None:
    """Run a command of the product on a box.

    Raises:
        CalledProcessError: it failed.
    """
    subprocess.run([sys.executable, "-m", "appliance.cli", "--root", str(layout.root), *words], check=True)


def artefact_of(layout: Layout) -> Path:
    """The folder of the exported model."""
    folder = ArtefactStore(layout).releases(NAME, f"cpu-{DEFAULT}").current()
    assert folder is not None
    return folder
