"""The stages of an export in order, from the stored checkpoint to the installed artefact. Finished stages are kept."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance import targets
from appliance.artefact.manifest import ORT_CPU, ORT_CUDA, TENSORRT, TOKENIZER, Manifest
from appliance.artefact.tokenizer import load_tokenizer
from appliance.disk import Need, check_space
from appliance.errors import NoSpaceError, QualityError
from appliance.layout import Layout
from appliance.lock import locked
from appliance.memory import peak_bytes
from appliance.store import ArtefactStore, StoredModel, open_model
from export import measuring, recipes
from export.checkpoint import open_checkpoint
from export.conversation import check_marks, stated_conversation
from export.generation import Settings
from export.installation import install, manifest_of
from export.job import Build, Job
from export.lowering import ort, tensorrt
from export.preflight import Needs, check_memory
from export.presets import FLOAT16, PRESETS, Preset
from export.progress import Progress
from export.quality.reference import reference_bytes
from export.quality.report import REPORT, check_report
from export.reading import architecture_of
from export.stages import StageResult, Stages
from export.words import Words

# The lowering for each runtime.
LOWERINGS: Mapping[str, Build] = {ORT_CPU: ort.build, ORT_CUDA: ort.build, TENSORRT: tensorrt.build}


@dataclass(frozen=True)
class Exported:
    """A finished export.

    Attributes:
        folder: the artefact.
        manifest: the artefact's manifest.
        was_installed: False if the same artefact was installed already.
        kept_stages: names of the stages whose earlier results were used.
        needs: the expected memory and disk space.
        build_peak_bytes: peak memory of this process after the graph was written.
        peak_bytes: peak memory of this process, including measuring. It counts the pages of mapped files, such as the
            reference's weights, which the kernel can drop at any time.
    """

    folder: Path
    manifest: Manifest
    was_installed: bool
    kept_stages: tuple[str, ...]
    needs: Needs
    build_peak_bytes: int
    peak_bytes: int


def export_model(layout: Layout, model: str, target: str, preset: str | None, progress: Progress) -> Exported:
    """Export an installed model with a named preset, or with the target's default.

    If the default misses its tolerance, the preset that is finer is taken: small models lose more than others.

    Args:
        layout: the box's folders.
        model: the model's name in the store.
        target: the name of a target.
        preset: one of the target's presets; None means its default.
        progress: receives the progress.

    Raises:
        UnknownModelError: no such model or target, or the target has no such preset.
        Others: see `export_as`.
    """
    chosen = PRESETS[targets.get(target).preset(preset)]
    try:
        return export_as(layout, model, target, chosen, progress)
    except QualityError as error:
        if preset is not None or not chosen.finer:
            raise
        progress.note(f"{chosen.name}: {error.message}; the export continues with the preset {chosen.finer}")
    return export_as(layout, model, target, PRESETS[chosen.finer], progress)


def export_as(layout: Layout, model: str, target: str, preset: Preset, progress: Progress) -> Exported:
    """Export an installed model with any preset.

    Raises:
        UnknownModelError: no such model.
        IntegrityError: the stored files have changed.
        UnsupportedError: the checkpoint has an unsupported feature.
        NoSpaceError: the disk or the memory is too small.
        QualityError: the preset's tolerance was missed; no artefact was installed.
    """
    build = LOWERINGS[preset.runtime]
    stored = open_model(layout, model)
    with locked(layout.stages / "lock", waiting=lambda: progress.note("waiting until another export has finished")):
        stages = Stages(layout.stages)
        stages.sweep()
        _verify(stored, progress)
        checkpoint = open_checkpoint(stored.files)
        architecture = architecture_of(checkpoint)
        for note in architecture.notes:
            progress.note(note)
        job = Job(stored, checkpoint, architecture, target, build, preset, stages, progress)
        try:
            return _run(job, layout)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise NoSpaceError(f"the disk became full: {error}", hint="free some space and export again") from error


def _verify(stored: StoredModel, progress: Progress) -> None:
    total = stored.entry.size_bytes
    done = 0

    def advance(size_bytes: int) -> None:
        nonlocal done
        done += size_bytes
        progress.step("verify", done, total)

    progress.step("verify", 0, total)
    stored.verify(advance)


def _run(job: Job, layout: Layout) -> Exported:
    words = job.stages.result(recipes.words(job.inputs), lambda folder: _write_words(job, folder))
    _check_conversation(job, words)
    needs = Needs.of(job.checkpoint, job.architecture, job.preset)
    _check_room(job, layout, needs, words)
    tokens = Settings.read(words.folder).tokens
    graph = job.stages.result(
        recipes.graph(job.inputs, job.target, job.preset, tokens),
        lambda folder: job.build(job.checkpoint, job.architecture, job.preset, tokens, folder, job.advance("graph")),
    )
    build_peak = peak_bytes()
    results = {"words": words, "graph": graph}
    results["reference"] = job.stages.result(
        recipes.reference(job.inputs, words), lambda folder: measuring.make_reference(job, words, folder)
    )
    if job.preset.activations == FLOAT16:
        results["magnitudes"] = job.stages.result(
            recipes.magnitudes(job.inputs, words), lambda folder: measuring.make_magnitudes(job, words, folder)
        )
    quality = job.stages.result(
        recipes.quality(job.inputs, job.preset, results), lambda folder: measuring.make_report(job, results, folder)
    )
    report = quality.file(REPORT)
    figures = check_report(report.read_bytes(), str(report))
    settings = Settings.read(words.folder)
    manifest = manifest_of(job, settings, (graph, words, quality), figures)
    installed = install(ArtefactStore(layout), manifest, (graph, words, quality), job.progress)
    return Exported(
        folder=installed.folder,
        manifest=manifest,
        was_installed=not installed.was_there,
        kept_stages=tuple(name for name, result in (*results.items(), ("quality", quality)) if result.was_kept),
        needs=needs,
        build_peak_bytes=build_peak,
        peak_bytes=peak_bytes(),
    )


def _check_room(job: Job, layout: Layout, needs: Needs, words: StageResult) -> None:
    """Check that disk and memory are large enough for the stages that are not kept, before the work starts."""
    cache_bytes = 0
    tokens = Settings.read(words.folder).tokens
    if not job.stages.is_kept(recipes.graph(job.inputs, job.target, job.preset, tokens)):
        check_memory(needs)
        cache_bytes += needs.output_bytes
    if not job.stages.is_kept(recipes.reference(job.inputs, words)):
        cache_bytes += needs.float_bytes + reference_bytes(tokens)
    elif cache_bytes and job.preset.runtime != ORT_CPU:
        # The twin's graph takes at most as much as the reference's, and is built after that graph was deleted.
        cache_bytes += needs.float_bytes
    root_bytes = 0 if cache_bytes == 0 else needs.output_bytes
    check_space([Need("export", layout.stages, cache_bytes), Need("install", layout.artefacts, root_bytes)])


def _write_words(job: Job, folder: Path) -> None:
    job.progress.step("tokenizer", 0, 1)
    Words.of(job.checkpoint, job.architecture.vocabulary).write(folder)
    job.progress.step("tokenizer", 1, 1)


def _check_conversation(job: Job, words: StageResult) -> None:
    """Check that the catalogue's conversation settings of the model agree with its tokenizer."""
    stated = stated_conversation(job.stored.entry.conversation)
    if stated is not None:
        check_marks(stated, load_tokenizer(words.file(TOKENIZER).read_bytes()))
