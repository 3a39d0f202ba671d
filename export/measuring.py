"""The stages that run a model: the reference's output, the magnitudes of its values, and the quality report.

A graph that is needed only for measuring is deleted afterwards; its results are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from appliance.artefact.folder import file_entry
from appliance.artefact.manifest import ORT_CPU, TENSORRT, TOKENIZER
from appliance.artefact.tokenizer import load_tokenizer
from appliance.engine.parity import PARITY, to_bytes
from export.generation import Settings
from export.job import Build, TextJob
from export.lowering import ort, twin
from export.presets import REFERENCE, Preset
from export.quality.graph_runner import GraphRunner
from export.quality.magnitudes import Magnitudes, add_magnitudes, write_magnitudes
from export.quality.parity import parity_cases
from export.quality.reading import Material
from export.quality.reference import Reference, write_reference
from export.quality.report import REPORT, Report, measure
from export.stages import StageResult


def make_reference(job: TextJob, words: StageResult, folder: Path) -> None:
    """Run the checkpoint in 32-bit floats on the text set, and store its output."""
    tokens = Settings.read(words.folder).tokens
    with _running(job, words, REFERENCE, "reference graph") as runner:
        write_reference(runner, _material(job, words), tokens, folder, job.advance("reference"))


def make_magnitudes(job: TextJob, words: StageResult, folder: Path) -> None:
    """Run the checkpoint in 32-bit floats on the text set, and store the magnitudes of its values."""
    with _running(job, words, REFERENCE, "reference graph", add_magnitudes) as runner:
        write_magnitudes(runner, _material(job, words), folder, job.advance("magnitudes"))


def make_report(job: TextJob, results: Mapping[str, StageResult], folder: Path) -> None:
    """Compare the artefact's graph, or its twin if this machine cannot run the graph, with the reference.

    For a TensorRT preset, it also writes the cases with which the box compares its plan.
    """
    words, graph = results["words"], results["graph"]
    if job.preset.runtime == ORT_CPU:
        shape = job.shape(Settings.read(words.folder).tokens)
        report = _measured(job, results, GraphRunner(graph.folder, job.graph_manifest(shape, graph.files), repack=True))
    else:
        with _running(job, words, job.preset, "twin graph", build=twin.build) as runner:
            report = _measured(job, results, runner)
    (folder / REPORT).write_bytes(report.to_bytes())
    if job.preset.runtime == TENSORRT:
        reference = Reference.open(results["reference"].folder)
        (folder / PARITY).write_bytes(to_bytes(parity_cases(reference, _material(job, words))))


def _measured(job: TextJob, results: Mapping[str, StageResult], runner: GraphRunner) -> Report:
    reference, magnitudes = Reference.open(results["reference"].folder), results.get("magnitudes")
    figures, greedy = measure(runner, reference, _material(job, results["words"]), job.advance("quality"))
    return Report(
        candidate=f"preset {job.preset.name} for {job.target}: {job.preset.summary}",
        reference=f"{job.source_words()}; brought to 32-bit floats and run in 32-bit floats",
        max_mean_kl=job.preset.max_mean_kl,
        figures=figures,
        greedy=greedy,
        measured="" if job.preset.runtime == ORT_CPU else _twin_words(job.preset),
        magnitudes=None if magnitudes is None else Magnitudes.open(magnitudes.folder),
    )


def _twin_words(preset: Preset) -> str:
    graph = "the graph for ONNX Runtime with the weights as in the artefact"
    return (
        f"on the CPU, without a GPU: {graph if preset.runtime == TENSORRT else 'the weights as in the artefact'}, each "
        f"operator computed in 32-bit floats and its result rounded to {preset.activations}; the rounding within an "
        "operator on a GPU is not in it"
    )


@contextmanager
def _running(
    job: TextJob,
    words: StageResult,
    preset: Preset,
    step: str,
    change: Callable[[Path], None] = lambda _folder: None,
    build: Build = ort.build,
) -> Iterator[GraphRunner]:
    """Build a graph for this machine's CPU, apply `change` to its folder, and run it until the context ends."""
    shape = job.shape(Settings.read(words.folder).tokens)
    with job.stages.temporary() as folder:
        build(job.checkpoint, job.architecture, preset, shape.tokens, folder, job.advance(step))
        change(folder)
        entries = tuple(file_entry(path) for path in sorted(folder.iterdir()))
        yield GraphRunner(folder, job.graph_manifest(shape, entries), repack=False)


def _material(job: TextJob, words: StageResult) -> Material:
    tokenizer = load_tokenizer(words.file(TOKENIZER).read_bytes())
    return Material.of(tokenizer, job.architecture.context_tokens)
