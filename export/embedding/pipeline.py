"""The stages of an embedding model's export, from the stored checkpoint to the installed artefact."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from appliance.artefact.manifest import TOKENIZER, Embedding, Manifest
from appliance.artefact.tokenizer import load_tokenizer
from appliance.disk import Need, check_space
from appliance.errors import UsageError
from appliance.layout import Layout
from appliance.memory import peak_bytes
from export.checkpoint import Checkpoint
from export.embedding.graph_runner import GraphRunner
from export.embedding.reading import EmbeddingModel
from export.embedding.reference import reference_vectors
from export.embedding.report import REPORT, Material, Report, check_report
from export.embedding.words import Words, read_task
from export.exported import Exported
from export.installation import manifest_of
from export.job import Job
from export.lowering import encoder as lowering
from export.preflight import Needs, check_memory
from export.quality.text_set import text_set_digest
from export.stages import Recipe, StageResult
from export.versions import MEASURING, versions

# The only target, and the only format of the weights: 8-bit matrices were slower, see docs/decisions.
_TARGET, _PRESET = "cpu", "float32"
_CODE = ("architecture", "checkpoint", "embedding", "generation", "lowering", "quality", "tokenizer")
_VECTORS = "vectors.npy"
_FLOAT_BYTES = 4


def export_embedding(job: Job, layout: Layout, preset: str | None) -> Exported:
    """Export an embedding model.

    Args:
        job: the export.
        layout: the box's folders.
        preset: the preset that the user named; None if none.

    Raises:
        UsageError: the user named another target or preset than the only one.
        IntegrityError: a file of the checkpoint is damaged.
        UnsupportedError: the checkpoint has an unsupported feature.
        NoSpaceError: the disk or the memory is too small.
        QualityError: a vector differs too much from the reference's; no artefact was installed.
    """
    if (job.target, preset or _PRESET) != (_TARGET, _PRESET):
        raise UsageError(
            f"{job.stored.name} is an embedding model: its only target is {_TARGET}, and its only preset {_PRESET}",
            hint=f"use: appliance export {job.stored.name}",
        )
    model = EmbeddingModel.of(job.checkpoint)
    for note in model.preparation.notes:
        job.progress.note(note)
    words = job.stages.result(_recipe(job, "words"), lambda folder: _write_words(job, model, folder))
    task = read_task(words.folder)
    needs = _needs(job.checkpoint, model)
    _check_room(job, layout, needs)
    graph = job.stages.result(
        _recipe(job, "graph"),
        lambda folder: lowering.build(job.checkpoint, model.encoder, model.pooling, folder, job.advance("graph")),
    )
    build_peak = peak_bytes()
    material = Material.of(load_tokenizer(words.file(TOKENIZER).read_bytes()), task.max_tokens)
    reference = job.stages.result(
        _recipe(job, "reference", words), lambda folder: _write_reference(job, model, material, folder)
    )
    outline = _outline(job, model, task)
    quality = job.stages.result(
        _recipe(job, "quality", words, graph, reference),
        lambda folder: _write_report(job, replace(outline, files=graph.files), material, graph, reference, folder),
    )
    report = quality.file(REPORT)
    figures = check_report(report.read_bytes(), str(report))
    manifest = manifest_of(outline, job.stored.entry, (graph, words, quality), figures)
    results = {"words": words, "graph": graph, "reference": reference, "quality": quality}
    return Exported.install(job, layout, manifest, results, needs=needs, build_peak_bytes=build_peak)


def _recipe(job: Job, name: str, *results: StageResult) -> Recipe:
    """All that decides the result of a stage, which reads the results of earlier stages."""
    read = {file.name: file.sha256 for result in results for file in result.files}
    inputs = {**job.inputs, **{f"stage/{file}": digest for file, digest in read.items()}, "texts": text_set_digest()}
    # The settings that the stage `words` writes are read with the fields of this version.
    options = {"preset": _PRESET, "settings": [field.name for field in fields(Embedding)]}
    return Recipe(name, _CODE, inputs, options, versions(MEASURING))


def _outline(job: Job, model: EmbeddingModel, task: Embedding) -> Manifest:
    """A manifest that describes the graph, without files, figures and the origin of the model."""
    options = {"preset": _PRESET, "target": _TARGET}
    return Manifest(job.stored.name, _TARGET, _PRESET, model.encoder.name, task, (), job.inputs, options=options)


def _needs(checkpoint: Checkpoint, model: EmbeddingModel) -> Needs:
    tensors = [math.prod(shape) * _FLOAT_BYTES for _, shape in model.encoder.tensors()]
    largest = max(math.prod(checkpoint.shape(name)) * _FLOAT_BYTES for name in checkpoint.names())
    return Needs(output_bytes=sum(tensors), largest_bytes=largest, float_bytes=sum(tensors))


def _check_room(job: Job, layout: Layout, needs: Needs) -> None:
    """Check that disk and memory are large enough, if the graph is not kept, before the work starts."""
    if job.stages.is_kept(_recipe(job, "graph")):
        return
    check_memory(needs)
    check_space(
        [Need("export", layout.stages, needs.output_bytes), Need("install", layout.artefacts, needs.output_bytes)]
    )


def _write_words(job: Job, model: EmbeddingModel, folder: Path) -> None:
    job.progress.step("tokenizer", 0, 1)
    Words.of(job.checkpoint, model).write(folder)
    job.progress.step("tokenizer", 1, 1)


def _write_reference(job: Job, model: EmbeddingModel, material: Material, folder: Path) -> None:
    # Weights that are not finite give vectors that are not: the report says so.
    with np.errstate(all="ignore"):
        vectors = reference_vectors(job.checkpoint, model, material.texts, job.advance("reference"))
    np.save(folder / _VECTORS, vectors)


def _write_report(
    job: Job, outline: Manifest, material: Material, graph: StageResult, reference: StageResult, folder: Path
) -> None:
    job.progress.step("quality", 0, 1)
    found = GraphRunner(graph.folder, outline).vectors(material.texts)
    expected = np.load(reference.file(_VECTORS), allow_pickle=False)
    with np.errstate(all="ignore"):
        report = Report.of(
            candidate=f"preset {_PRESET} for {_TARGET}: the graph for ONNX Runtime, in 32-bit floats",
            reference=f"{job.source_words()}; brought to 64-bit floats and computed with numpy, without the graph",
            material=material,
            found=found,
            expected=expected,
        )
    (folder / REPORT).write_bytes(report.to_bytes())
    job.progress.step("quality", 1, 1)
