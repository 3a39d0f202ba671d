"""The real models for tests marked `model`: pulled and exported with the product's own commands, kept between runs."""

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
EMBEDDER = "all-minilm-l6-v2"


# Of another maker and shape, small enough to be pulled beside the first.
SMALL = "smollm2-135m-instruct"


def prepared_layout(name: str = NAME, *, run: str = "") -> Layout:
    """A box beside the download cache with the model pulled and exported; seconds when it is there already.

    Args:
        name: the model's name in the catalogue.
        run: the name of a run of tests. Only the first of its processes looks whether all is there and as it should be.
    """
    layout = _layout()
    checked = layout.root / f"checked-in-{name}"
    with locked(layout.root / "preparing"):
        if not run or not checked.is_file() or checked.read_text() != run:
            command(layout, "model", "pull", name)
            command(layout, "export", name)
            checked.write_text(run)
    return layout


def pulled_layout(name: str) -> Layout:
    """The same box, with this model pulled."""
    layout = _layout()
    command(layout, "model", "pull", name)
    return layout


def command(layout: Layout, *words: str) -> None:
    """Run a command of the product on a box.

    Raises:
        CalledProcessError: it failed.
    """
    subprocess.run([sys.executable, "-m", "appliance.cli", "--root", str(layout.root), *words], check=True)


def artefact_of(layout: Layout, name: str = NAME, preset: str = DEFAULT) -> Path:
    """The folder of the exported model."""
    folder = ArtefactStore(layout).releases(name, f"cpu-{preset}").current()
    assert folder is not None
    return folder


def _layout() -> Layout:
    cache = Layout.from_environment(os.environ).cache
    return Layout(root=cache / "tests", cache=cache)
