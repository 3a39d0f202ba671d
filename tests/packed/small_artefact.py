"""A quantised artefact with random weights whose heads have 64 elements, as real models have."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from appliance.artefact.folder import file_entry, read_manifest
from appliance.artefact.manifest import GRAPH, GRAPH_DATA, MANIFEST_NAME
from export.architecture import describe
from export.checkpoint import open_checkpoint
from export.lowering import ort
from export.presets import Preset
from tests import checkpoints
from tests.tiny_artefact import make_tiny_artefact

HEAD = 64


def make_small_artefact(folder: Path, scratch: Path, preset: Preset) -> Path:
    """Write the artefact into `folder`; `scratch` takes the checkpoints. Returns `folder`."""
    make_tiny_artefact(folder, scratch / "tiny")
    source = checkpoints.make_tiny_checkpoint(scratch / "small", "qwen3", head=HEAD)
    checkpoint = open_checkpoint({path.name: path for path in source.iterdir()})
    architecture = describe(checkpoint.config)
    for name in (GRAPH, GRAPH_DATA):
        (folder / name).unlink()
    ort.build(checkpoint, architecture, preset, checkpoints.VOCABULARY, folder, lambda _done, _total: None)
    manifest = read_manifest(folder)
    shape = dataclasses.replace(manifest.shape, head_dim=HEAD, context_tokens=architecture.context_tokens)
    files = tuple(file_entry(folder / entry.name) for entry in manifest.files)
    task = dataclasses.replace(manifest.task, shape=shape)
    (folder / MANIFEST_NAME).write_bytes(dataclasses.replace(manifest, task=task, files=files).to_bytes())
    return folder
