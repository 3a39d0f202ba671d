"""The packed graph of an artefact to serve on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from appliance.artefact.manifest import ORT_CPU, Manifest
from appliance.errors import UnsupportedError
from appliance.layout import Layout
from appliance.ops.library import library as operator_library
from appliance.packed.record import PackedKey
from appliance.packed.store import PackedStore


def packed_graph(layout: Layout, artefact: Path, manifest: Manifest, note: Callable[[str], None]) -> Path | None:
    """The folder of the artefact's packed graph, which is packed if necessary; None if the portable graph is served.

    The engine verifies its bytes when it loads the graph.

    Args:
        layout: the box's folders.
        artefact: the artefact's folder.
        manifest: its manifest.
        note: receives one line for the person who waits.

    Raises:
        IntegrityError: the operator library or the artefact is damaged.
        ApplianceError: see `ensure_packed`.
    """
    if manifest.runtime != ORT_CPU:
        return None
    try:
        library = operator_library()
    except UnsupportedError:
        return None
    store = PackedStore(layout.engines)
    current = store.current(manifest)
    if current is not None and store.is_for(current, PackedKey.of(manifest, library.digest)):
        return current
    # Packing needs libraries that the supervisor does not load otherwise.
    from appliance.packed.build import ensure_packed  # noqa: PLC0415

    return ensure_packed(store, artefact, manifest, library.digest, note)
