"""Packs an artefact's graph for this box's operators and makes it current. A partly packed graph is not visible."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx

from appliance.artefact.folder import file_entry
from appliance.artefact.gate import check_graph
from appliance.artefact.manifest import GRAPH, GRAPH_DATA, FileEntry, Manifest
from appliance.derived.box_key import BoxKey
from appliance.derived.store import RECORD
from appliance.disk import Need, check_space
from appliance.packed.record import PackedKey, PackedRecord
from appliance.packed.rewrite import rewrite
from appliance.packed.store import PackedStore
from appliance.packed.tensors import GraphTensors, TensorFile


def ensure_packed(
    store: PackedStore, artefact: Path, manifest: Manifest, library: str, note: Callable[[str], None]
) -> Path | None:
    """Return the folder of the artefact's packed graph and make it current. Packs the graph if necessary.

    Returns None if our operators support no node of the graph.

    Args:
        store: where packed graphs are.
        artefact: the artefact's folder.
        manifest: its manifest.
        library: sha256 of the operator library.
        note: receives one line for the person who waits.

    Raises:
        IntegrityError, UnsafeFormatError, UnsupportedError: see `check_graph`.
        NoSpaceError: the disk is too full.
    """
    key = PackedKey.of(manifest, library)
    releases = store.releases(manifest)
    with store.changing(lambda: note("waiting for another process that packs weights")):
        found = releases.find(key.name)
        if found is not None and store.is_for(found, key):
            releases.switch(found)
            return found
        note(f"packing the weights of {manifest.model} for this CPU")
        box = BoxKey.open_or_create(store.box_key)
        check_graph(artefact, manifest)
        check_space([Need("pack the weights", store.folder, manifest.file(GRAPH_DATA).size_bytes)])
        with releases.staged(key.name) as staged:
            files = _pack(artefact, manifest, staged)
            if not files:
                return None
            (staged / RECORD).write_bytes(PackedRecord(key, files).to_bytes(box))
            packed = releases.publish(staged)
        # A former packed graph is of a former library or export, and packing takes seconds: nothing needs it.
        releases.prune(keep_previous=False)
        return packed


def _pack(artefact: Path, manifest: Manifest, staged: Path) -> tuple[FileEntry, ...]:
    model = onnx.load_model(artefact / GRAPH, load_external_data=False)
    with TensorFile(staged / GRAPH_DATA) as file:
        packed = rewrite(model, GraphTensors(model.graph, artefact), file, manifest.shape.tokens)
    if packed is None:
        return ()
    (staged / GRAPH).write_bytes(packed.SerializeToString(deterministic=True))
    return tuple(map(file_entry, [staged / GRAPH, *file.paths]))
