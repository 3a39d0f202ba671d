"""How the box computes an artefact's graph on the CPU: with the appliance's own operators, or with ONNX Runtime's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from appliance.artefact.manifest import ORT_CPU, Manifest, TextGeneration
from appliance.errors import UnsupportedError
from appliance.layout import Layout
from appliance.ops.library import library as operator_library
from appliance.packed.record import PackedKey
from appliance.packed.store import PackedStore

_PORTABLE = "onnxruntime"


@dataclass(frozen=True)
class ServedGraph:
    """The graph that the engine loads.

    Attributes:
        packed: folder of the packed graph; None if the engine loads the artefact's own graph.
        operators: which operators compute it, for people: "avx512_vnni", or "onnxruntime (REASON)"; empty for other
            runtimes than the CPU's.
    """

    packed: Path | None = None
    operators: str = ""


def served_graph(layout: Layout, artefact: Path, manifest: Manifest, note: Callable[[str], None]) -> ServedGraph:
    """Choose the graph of an artefact to serve, and pack it if necessary.

    The engine verifies the packed graph's bytes when it loads the graph.

    Args:
        layout: the box's folders.
        artefact: the artefact's folder.
        manifest: its manifest.
        note: receives lines for the person who waits.

    Raises:
        IntegrityError: the operator library or the artefact is damaged.
        MissingProgramError: the operator library was not built.
        ApplianceError: see `ensure_packed`.
    """
    if manifest.runtime != ORT_CPU or not isinstance(manifest.task, TextGeneration):
        return ServedGraph()
    try:
        library = operator_library()
    except UnsupportedError as error:
        note(f"{error.message}: {manifest.model} is served with those of ONNX Runtime, which are slower")
        return ServedGraph(operators=f"{_PORTABLE} ({error.message})")
    store = PackedStore(layout.engines)
    packed = store.current(manifest)
    if packed is None or not store.is_for(packed, PackedKey.of(manifest, library.digest)):
        # Packing needs libraries that the supervisor does not load otherwise.
        from appliance.packed.build import ensure_packed  # noqa: PLC0415

        packed = ensure_packed(store, artefact, manifest, library.digest, note)
    if packed is None:
        return ServedGraph(operators=f"{_PORTABLE} (the graph has no node that the appliance's operators compute)")
    return ServedGraph(packed, library.kernels)
