"""Measures size, quality and throughput of every candidate for a preset. Its exports are deleted at the end."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from appliance import durable
from appliance.layout import Layout
from bench.assignment import PRESETS, QUICK, Work
from bench.candidates import CANDIDATES
from bench.engines import ENGINE, ORT_INT4, ORT_K_QUANT, Engine
from bench.launch import run_worker
from bench.machine import describe_machine
from bench.model import Model, pack, prepare_model
from bench.peer_models import PeerModels
from bench.results import Measured, Results, Table
from bench.rounds import Run, Say, measure_in_turn
from bench.run import assigner
from export.exported import Exported
from export.pipeline import export_as
from export.presets import DEFAULT, Preset
from export.progress import Progress

# The peers' 4-bit formats of the same weights with blocks of 32: rounding to nearest, and k-quant.
_OTHERS = (ORT_INT4, ORT_K_QUANT)


@dataclasses.dataclass(frozen=True)
class Selection:
    """The settings of the run.

    Attributes:
        model: name of an installed model.
        rounds: number of rounds.
        candidates: weight formats to measure.
        quick: smoke test with few tokens and without peers.
    """

    model: str
    rounds: int = 2
    candidates: Sequence[Preset] = CANDIDATES
    quick: bool = False


def run_presets(selection: Selection, layout: Layout, progress: Progress, say: Say, run: Run = run_worker) -> Results:
    """Export all candidates, then measure them in turn.

    Raises:
        ApplianceError: the model is not installed or cannot be exported.
    """
    started = datetime.now(timezone.utc)
    work = QUICK if selection.quick else PRESETS
    model = prepare_model(layout, selection.model, (DEFAULT,), progress)
    with _scratch(layout.cache / "bench" / "presets") as scratch:
        exports = _export(selection, layout, scratch, progress, say)
        packed = {name: pack(_own_layout(scratch), exported) for name, exported in exports.items()}
        every = dataclasses.replace(model, artefacts={**model.artefacts, **exports}, packed={**model.packed, **packed})
        own = tuple(_engine(preset) for preset in selection.candidates)
        table = _measure(every, own if selection.quick else (*own, *_OTHERS), work, selection, layout, run, say)
        rows = tuple(_with_report(row, exports[row.key]) if row.key in exports else row for row in table.engines)
    table = dataclasses.replace(table, engines=rows)
    return Results(f"{started:%Y-%m-%d %H:%M} UTC", describe_machine(), (table,), selection.quick)


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Yield an empty folder, deleted when the block ends; leftovers of a killed run are removed first."""
    shutil.rmtree(folder, ignore_errors=True)
    durable.make_folder(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _own_layout(scratch: Path) -> Layout:
    return Layout(root=scratch / "root", cache=scratch / "cache")


def _export(
    selection: Selection, layout: Layout, scratch: Path, progress: Progress, say: Say
) -> Mapping[str, Exported]:
    """Export into a separate root that shares the installed models."""
    own = _own_layout(scratch)
    own.root.mkdir()
    own.store.symlink_to(layout.store)
    own.models.symlink_to(layout.models)
    exports = {}
    for preset in selection.candidates:
        say(f"exporting {preset.name}")
        exports[preset.name] = export_as(own, selection.model, "cpu", preset, progress)
    return exports


def _engine(preset: Preset) -> Engine:
    return dataclasses.replace(ENGINE, key=preset.name, title=preset.name, note=preset.summary, preset=preset.name)


def _measure(
    model: Model, engines: Sequence[Engine], work: Work, selection: Selection, layout: Layout, run: Run, say: Say
) -> Table:
    forms = PeerModels(model, layout.cache, say)
    measured = measure_in_turn(
        engines, assigner(model, forms, work), selection.rounds, with_quality=not selection.quick, run=run, say=say
    )
    return Table("presets", model.name, model.sha256, dataclasses.asdict(work), measured)


def _with_report(row: Measured, exported: Exported) -> Measured:
    """The row with the figures of the artefact's own report and files."""
    manifest = exported.manifest
    quality = {key: manifest.quality[key] for key in ("mean_kl", "top1_agreement", "perplexity")}
    size_bytes = sum(entry.size_bytes for entry in manifest.files)
    return dataclasses.replace(row, quality={**quality, "size_bytes": size_bytes})
