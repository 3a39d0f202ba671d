"""The stages of an export in order, from the stored checkpoint to the installed artefact. Finished stages are kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from appliance import targets
from appliance.artefact.manifest import ORT_CPU, ORT_CUDA, TENSORRT, TOKENIZER, TextGeneration
from appliance.artefact.tokenizer import load_tokenizer
from appliance.disk import Need, check_space
from appliance.errors import QualityError
from appliance.layout import Layout
from appliance.memory import peak_bytes
from export import measuring, recipes
from export.conversation import check_marks, stated_conversation
from export.exported import Exported
from export.generation import Settings
from export.installation import manifest_of
from export.job import Build, Job, TextJob
from export.lowering import ort, tensorrt
from export.opening import opened
from export.pooling.pipeline import export_pooling
from export.pooling_models import pooling_export
from export.preflight import Needs, check_memory
from export.presets import FLOAT16, PRESETS, Preset
from export.progress import Progress
from export.quality.reference import reference_bytes
from export.quality.report import REPORT, check_report
from export.reading import architecture_of
from export.stages import StageResult
from export.words import Words

# The lowering for each runtime.
LOWERINGS: Mapping[str, Build] = {ORT_CPU: ort.build, ORT_CUDA: ort.build, TENSORRT: tensorrt.build}


def export_model(layout: Layout, model: str, target: str, preset: str | None, progress: Progress) -> Exported:
    """Export an installed model with a named preset, or with the target's default.

    If the default misses its tolerance, the preset that is finer is taken: small models lose more than others.

    Args:
        layout: the box's folders.
        model: the model's name in the store.
        target: the name of a target.
        preset: one of the target's presets; None means its default. An embedding model and a reranker have one preset.
        progress: receives the progress.

    Raises:
        UnknownModelError: no such model or target, or the target has no such preset.
        Others: see `export_as` and `export_pooling`.
    """
    chosen = PRESETS[targets.get(target).preset(preset)]
    with opened(layout, model, target, progress) as job:
        pooling = pooling_export(job.checkpoint)
        if pooling is not None:
            return export_pooling(job, layout, preset, pooling)
        try:
            return _export(job, layout, chosen)
        except QualityError as error:
            if preset is not None or not chosen.finer:
                raise
            progress.note(f"{chosen.name}: {error.message}; the export continues with the preset {chosen.finer}")
        return _export(job, layout, PRESETS[chosen.finer])


def export_as(layout: Layout, model: str, target: str, preset: Preset, progress: Progress) -> Exported:
    """Export an installed model that generates text with any preset.

    Raises:
        UnknownModelError: no such model.
        IntegrityError: the stored files have changed.
        UnsupportedError: the checkpoint has an unsupported feature.
        NoSpaceError: the disk or the memory is too small.
        QualityError: the preset's tolerance was missed; no artefact was installed.
    """
    with opened(layout, model, target, progress) as job:
        return _export(job, layout, preset)


def _export(opened_job: Job, layout: Layout, preset: Preset) -> Exported:
    architecture = architecture_of(opened_job.checkpoint)
    for note in architecture.notes:
        opened_job.progress.note(note)
    job = TextJob.of(opened_job, architecture, LOWERINGS[preset.runtime], preset)
    words = job.stages.result(recipes.words(job.content), lambda folder: _write_words(job, folder))
    _check_conversation(job, words)
    needs = Needs.of(job.checkpoint, job.architecture, job.preset)
    _check_room(job, layout, needs, words)
    settings = Settings.read(words.folder)
    graph = job.stages.result(
        recipes.graph(job.content, job.target, job.preset, settings.tokens),
        lambda folder: job.build(
            job.checkpoint, job.architecture, job.preset, settings.tokens, folder, job.advance("graph")
        ),
    )
    build_peak = peak_bytes()
    results = {"words": words, "graph": graph}
    results["reference"] = job.stages.result(
        recipes.reference(job.content, words), lambda folder: measuring.make_reference(job, words, folder)
    )
    if job.preset.activations == FLOAT16:
        results["magnitudes"] = job.stages.result(
            recipes.magnitudes(job.content, words), lambda folder: measuring.make_magnitudes(job, words, folder)
        )
    quality = job.stages.result(
        recipes.quality(job.content, job.preset, results), lambda folder: measuring.make_report(job, results, folder)
    )
    report = quality.file(REPORT)
    figures = check_report(report.read_bytes(), str(report))
    outline = job.outline(_task(job, settings))
    manifest = manifest_of(outline, job.stored.entry, (graph, words, quality), figures)
    return Exported.install(
        job, layout, manifest, {**results, "quality": quality}, needs=needs, build_peak_bytes=build_peak
    )


def _task(job: TextJob, settings: Settings) -> TextGeneration:
    return TextGeneration(
        shape=job.shape(settings.tokens),
        generation=settings.generation,
        conversation=stated_conversation(job.stored.entry.conversation) or settings.conversation,
    )


def _check_room(job: TextJob, layout: Layout, needs: Needs, words: StageResult) -> None:
    """Check that disk and memory are large enough for the stages that are not kept, before the work starts."""
    cache_bytes = 0
    tokens = Settings.read(words.folder).tokens
    if not job.stages.is_kept(recipes.graph(job.content, job.target, job.preset, tokens)):
        check_memory(needs)
        cache_bytes += needs.output_bytes
    if not job.stages.is_kept(recipes.reference(job.content, words)):
        cache_bytes += needs.float_bytes + reference_bytes(tokens)
    elif cache_bytes and job.preset.runtime != ORT_CPU:
        # The twin's graph takes at most as much as the reference's, and is built after that graph was deleted.
        cache_bytes += needs.float_bytes
    root_bytes = 0 if cache_bytes == 0 else needs.output_bytes
    check_space([Need("export", layout.stages, cache_bytes), Need("install", layout.artefacts, root_bytes)])


def _write_words(job: TextJob, folder: Path) -> None:
    job.progress.step("tokenizer", 0, 1)
    Words.of(job.checkpoint, job.architecture.vocabulary).write(folder)
    job.progress.step("tokenizer", 1, 1)


def _check_conversation(job: TextJob, words: StageResult) -> None:
    """Check that the catalogue's conversation settings of the model agree with its tokenizer."""
    stated = stated_conversation(job.stored.entry.conversation)
    if stated is not None:
        check_marks(stated, load_tokenizer(words.file(TOKENIZER).read_bytes()))
