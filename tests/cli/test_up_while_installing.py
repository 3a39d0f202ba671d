"""A box that an earlier version installed, and that goes on serving while a newer artefact is installed."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from appliance import sealed
from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import MANIFEST_NAME, TEXT_GENERATION
from tests.releases.installs import install_artefact
from tests.running_box import RunningBox
from tests.tiny_artefact import TINY
from tests.waiting import wait_until

pytestmark = pytest.mark.triton


def write_as_before(folder: Path) -> None:
    """Make the manifest what the version before tasks wrote."""
    fields = sealed.from_bytes((folder / MANIFEST_NAME).read_bytes())
    del fields["task"]
    before = {**fields, **fields.pop(TEXT_GENERATION), "schema": 2}
    del before[TEXT_GENERATION]
    (folder / MANIFEST_NAME).write_bytes(sealed.to_bytes(before))


def test_the_artefact_of_before_is_served_and_newer_ones_only_after_a_start(tmp_path: Path):
    root = tmp_path / "root"
    root.mkdir()
    box = RunningBox(root)
    old = root / "exports" / TINY / "cpu-balanced"
    write_as_before(old)
    newer = []
    for licence in ("second", "third"):
        newer.append(tmp_path / licence)
        shutil.copytree(old, newer[-1])
        manifest = dataclasses.replace(read_manifest(old), license=licence)
        (newer[-1] / MANIFEST_NAME).write_bytes(manifest.to_bytes())
    with box:
        assert box.state.default_model.artefact == str(old)
        for each in newer:
            install_artefact(root, each)
        # It is neither current nor previous any more; the engine is started again, and opens it again.
        box.kill(box.state.triton_pid)
        wait_until(lambda: box.has_restarted(triton=1))
        with box.completion(max_tokens=3) as answer:
            assert answer.status == 200
        assert box.state.default_model.artefact == str(old)
    box.output.unlink()
    with box:
        served = Path(box.state.default_model.artefact)
        assert read_manifest(served).license == "third"
        assert served.is_relative_to(root / "artefacts")
        with box.completion(max_tokens=3) as answer:
            assert answer.status == 200
        install_artefact(root, newer[0])
    assert not old.exists()
