"""One export in progress: its model, target, preset and stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gguf import LlamaFileType

from appliance.artefact.manifest import FileEntry, Generation, Manifest, ModelShape, TextGeneration
from appliance.store import StoredModel
from export.architecture import Architecture
from export.checkpoint import Checkpoint
from export.model_shape import model_shape
from export.presets import Preset
from export.progress import Progress
from export.recipes import content_of, is_gguf, weights_of
from export.stages import Stages

Build = Callable[[Checkpoint, Architecture, Preset, int, Path, Callable[[int, int], None]], None]


@dataclass(frozen=True)
class Job:
    """The values that all stages share, whatever the model's task.

    Attributes:
        stored: the model in the store, with verified files.
        checkpoint: its weights.
        target: the name of the target.
        stages: cache of stage results.
        progress: receives the progress.
    """

    stored: StoredModel
    checkpoint: Checkpoint
    target: str
    stages: Stages
    progress: Progress

    @property
    def inputs(self) -> Mapping[str, str]:
        """Digests of the model's files by name."""
        return {file.name: file.sha256 for file in self.stored.entry.files}

    @property
    def content(self) -> Mapping[str, str]:
        """Digests of what the stages read."""
        return content_of(self.inputs)

    def advance(self, step: str) -> Callable[[int, int], None]:
        """A callback that reports (done, total) of `step`."""
        return lambda done, total: self.progress.step(step, done, total)

    def source_words(self) -> str:
        """A description of the checkpoint: its files, and the formats of its weights. It depends only on `content`."""
        names = ", ".join(
            f"{'GGUF file' if is_gguf(name) else name} (sha256 {digest})"
            for name, digest in self.inputs.items()
            if is_gguf(name) or name.lower().endswith(".safetensors")
        )
        types = ", ".join(sorted({self.checkpoint.source_type(name) for name in self.checkpoint.names()}))
        file_type = self.checkpoint.metadata.get("general.file_type")
        if file_type is None:
            return f"{names}, tensors in {types}"
        return f"{names}, {_file_type(file_type)}, tensors in {types}"


@dataclass(frozen=True)
class TextJob(Job):
    """The export of a model that generates text.

    Attributes:
        architecture: the checkpoint's description.
        build: creates the graph for the target.
        preset: the format of the weights.
    """

    architecture: Architecture
    build: Build
    preset: Preset

    @classmethod
    def of(cls, job: Job, architecture: Architecture, build: Build, preset: Preset) -> TextJob:
        """Add what only text generation needs."""
        return cls(job.stored, job.checkpoint, job.target, job.stages, job.progress, architecture, build, preset)

    def shape(self, tokens: int) -> ModelShape:
        """The sizes that the engine needs, for a tokenizer of `tokens` tokens.

        Raises:
            UnsupportedError: the layers' caches differ in shape.
        """
        return model_shape(self.architecture, tokens, self.preset.activations)

    def graph_manifest(self, shape: ModelShape, files: tuple[FileEntry, ...]) -> Manifest:
        """A manifest with only the graph's files, for `check_graph`; it is never written."""
        return self.outline(TextGeneration(shape, Generation(eos_token_ids=())), files)

    def outline(self, task: TextGeneration, files: tuple[FileEntry, ...] = ()) -> Manifest:
        """A manifest that describes the graph, without the figures and the origin of the model."""
        return Manifest(
            self.stored.name,
            self.target,
            self.preset.name,
            self.architecture.name,
            task,
            files,
            self.inputs,
            options={"target": self.target, "preset": weights_of(self.preset)},
            runtime=self.preset.runtime,
        )


def _file_type(value: Any) -> str:
    """GGUF's name of the most frequent tensor format in a file. It is only for people, so any number is accepted."""
    try:
        return LlamaFileType(value).name.removeprefix("MOSTLY_")
    except ValueError:
        return "a file type that is not known"
