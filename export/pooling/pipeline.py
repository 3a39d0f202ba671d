"""The stages of a pooling model's export, from the stored checkpoint to the installed artefact."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from appliance.artefact.manifest import TOKENIZER, Embedding, Manifest, Reranking
from appliance.artefact.tokenizer import load_tokenizer
from appliance.disk import Need, check_space
from appliance.errors import UsageError
from appliance.layout import Layout
from appliance.memory import peak_bytes
from export.exported import Exported
from export.installation import manifest_of
from export.job import Job
from export.pooling.export import Material, PoolingExport
from export.pooling.graph_runner import GraphRunner
from export.preflight import Needs, check_memory
from export.quality.text_set import text_set_digest
from export.stages import Recipe, StageResult
from export.versions import MEASURING, versions

REPORT = "report.json"
# The only target, and the only format of the weights: 8-bit matrices were slower, see docs/decisions.
_TARGET, _PRESET = "cpu", "float32"
_CODE = (
    *("architecture", "checkpoint", "embedding", "generation", "lowering", "pooling", "quality", "reranking"),
    "tokenizer",
)
_ROWS = "rows.npy"
_FLOAT_BYTES = 4


def export_pooling(job: Job, layout: Layout, preset: str | None, export: PoolingExport) -> Exported:
    """Export a pooling model.

    Args:
        job: the export.
        layout: the box's folders.
        preset: the preset that the user named; None if none.
        export: what depends on the task.

    Raises:
        UsageError: the user named another target or preset than the only one.
        IntegrityError: a file of the checkpoint is damaged.
        UnsupportedError: the checkpoint has an unsupported feature.
        NoSpaceError: the disk or the memory is too small.
        QualityError: a number differs too much from the reference's; no artefact was installed.
    """
    if (job.target, preset or _PRESET) != (_TARGET, _PRESET):
        raise UsageError(
            f"{job.stored.name} is {export.kind}: its only target is {_TARGET}, and its only preset {_PRESET}",
            hint=f"use: appliance export {job.stored.name}",
        )
    for note in export.notes:
        job.progress.note(note)
    words = job.stages.result(_recipe(job, "words"), lambda folder: _write_words(job, export, folder))
    task = export.task(words.folder)
    needs = _needs(export)
    _check_room(job, layout, needs)
    graph = job.stages.result(_recipe(job, "graph"), lambda folder: export.build(folder, job.advance("graph")))
    build_peak = peak_bytes()
    material = export.material(load_tokenizer(words.file(TOKENIZER).read_bytes()), task)
    reference = job.stages.result(
        _recipe(job, "reference", words), lambda folder: _write_reference(job, export, material, folder)
    )
    outline = _outline(job, export, task)
    quality = job.stages.result(
        _recipe(job, "quality", words, graph, reference),
        lambda folder: _write_report(
            job, export, replace(outline, files=graph.files), material, graph, reference, folder
        ),
    )
    report = quality.file(REPORT)
    figures = export.check_report(report.read_bytes(), str(report))
    manifest = manifest_of(outline, job.stored.entry, (graph, words, quality), figures)
    results = {"words": words, "graph": graph, "reference": reference, "quality": quality}
    return Exported.install(job, layout, manifest, results, needs=needs, build_peak_bytes=build_peak)


def _recipe(job: Job, name: str, *results: StageResult) -> Recipe:
    """All that decides the result of a stage, which reads the results of earlier stages."""
    read = {file.name: file.sha256 for result in results for file in result.files}
    inputs = {**job.inputs, **{f"stage/{file}": digest for file, digest in read.items()}, "texts": text_set_digest()}
    # The settings that the stage `words` writes are read with the fields of this version.
    settings = [field.name for task in (Embedding, Reranking) for field in fields(task)]
    return Recipe(name, _CODE, inputs, {"preset": _PRESET, "settings": settings}, versions(MEASURING))


def _outline(job: Job, export: PoolingExport, task: Embedding | Reranking) -> Manifest:
    """A manifest that describes the graph, without files, figures and the origin of the model."""
    options = {"preset": _PRESET, "target": _TARGET}
    return Manifest(job.stored.name, _TARGET, _PRESET, export.architecture, task, (), job.inputs, options=options)


def _needs(export: PoolingExport) -> Needs:
    tensors = [math.prod(shape) * _FLOAT_BYTES for _, shape in export.tensors()]
    return Needs(output_bytes=sum(tensors), largest_bytes=max(tensors), float_bytes=sum(tensors))


def _check_room(job: Job, layout: Layout, needs: Needs) -> None:
    """Check that disk and memory are large enough, if the graph is not kept, before the work starts."""
    if job.stages.is_kept(_recipe(job, "graph")):
        return
    check_memory(needs)
    check_space(
        [Need("export", layout.stages, needs.output_bytes), Need("install", layout.artefacts, needs.output_bytes)]
    )


def _write_words(job: Job, export: PoolingExport, folder: Path) -> None:
    job.progress.step("tokenizer", 0, 1)
    export.words().write(folder)
    job.progress.step("tokenizer", 1, 1)


def _write_reference(job: Job, export: PoolingExport, material: Material, folder: Path) -> None:
    # Weights that are not finite give numbers that are not: the report says so.
    with np.errstate(all="ignore"):
        rows = export.reference(material, job.advance("reference"))
    np.save(folder / _ROWS, rows)


def _write_report(
    job: Job,
    export: PoolingExport,
    outline: Manifest,
    material: Material,
    graph: StageResult,
    reference: StageResult,
    folder: Path,
) -> None:
    job.progress.step("quality", 0, 1)
    found = GraphRunner(graph.folder, outline).rows(material.texts, material.first_lengths)
    expected = np.load(reference.file(_ROWS), allow_pickle=False)
    with np.errstate(all="ignore"):
        report = export.report(
            f"preset {_PRESET} for {_TARGET}: the graph for ONNX Runtime, in 32-bit floats",
            f"{job.source_words()}; brought to 64-bit floats and computed with numpy, without the graph",
            material,
            found,
            expected,
        )
    (folder / REPORT).write_bytes(report)
    job.progress.step("quality", 1, 1)
