"""The artefact's manifest: which files, their digests, and what the engine must know to run them. It does no I/O.

docs/formats/manifest.md has its rules.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from appliance import sealed
from appliance.artefact.parts import Conversation, FileEntry, Generation, ModelShape, text
from appliance.artefact.text_generation import TEXT_GENERATION, TextGeneration
from appliance.errors import IntegrityError, UnsupportedError
from appliance.names import NAME

__all__ = [
    "CHAT_TEMPLATE",
    "GRAPH",
    "MANIFEST_NAME",
    "ORT_CPU",
    "ORT_CUDA",
    "SCHEMA_VERSION",
    "TENSORRT",
    "TEXT_GENERATION",
    "TOKENIZER",
    "Conversation",
    "FileEntry",
    "Generation",
    "Manifest",
    "ModelShape",
    "TextGeneration",
]

SCHEMA_VERSION = 3
# It named no task, and had the fields of text generation among the others. Schema 1 had no digest of its own.
_WITHOUT_TASK = 2
# What computes a graph.
ORT_CPU = "onnxruntime-cpu"
ORT_CUDA = "onnxruntime-cuda"
TENSORRT = "tensorrt"
MANIFEST_NAME = "manifest.json"
GRAPH = "model.onnx"
TOKENIZER = "tokenizer.json"
CHAT_TEMPLATE = "chat_template.jinja"


_RUNTIMES = frozenset({ORT_CPU, ORT_CUDA, TENSORRT})
_MAX_FILES = 256


@dataclass(frozen=True)
class Manifest:
    """The artefact's table of contents.

    Attributes:
        model: the model's catalogue name; also its name in Triton and for clients.
        target: the hardware it was exported for ("cpu", "cuda-sm90").
        preset: the preset's name.
        architecture: the catalogue's architecture name ("qwen2", "qwen3").
        task: what it does, and what only that needs. Text generation is the only task yet.
        files: every file beside the manifest, sorted by name.
        inputs: digests of the source files that went in, by name.
        options: every option of the export that influenced a byte.
        versions: library versions that influenced a byte.
        quality: figures of the quality report (mean_kl, top1_agreement, perplexity, greedy_agreement, ...).
        provenance: what is known about the origin of the weights ("trusted on first use", ...).
        runtime: what computes the graph: ORT_CPU, ORT_CUDA or TENSORRT.
    """

    model: str
    target: str
    preset: str
    architecture: str
    task: TextGeneration
    files: tuple[FileEntry, ...]
    inputs: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    quality: Mapping[str, Any] = field(default_factory=dict)
    provenance: str = ""
    license: str = ""
    runtime: str = ORT_CPU

    @property
    def shape(self) -> ModelShape:
        """Of the task."""
        return self.task.shape

    @property
    def generation(self) -> Generation:
        """Of the task."""
        return self.task.generation

    @property
    def conversation(self) -> Conversation:
        """Of the task."""
        return self.task.conversation

    def file(self, name: str) -> FileEntry:
        """Return the entry of `name`.

        Raises:
            IntegrityError: the manifest does not list it.
        """
        for entry in self.files:
            if entry.name == name:
                return entry
        raise IntegrityError(f"the manifest of {self.model} does not list {name!r}", hint="export the model again")

    def to_bytes(self) -> bytes:
        """Serialise, with the digest of all that it says. Equal manifests give equal bytes."""
        fields = dataclasses.asdict(self)
        task = {"task": TEXT_GENERATION, TEXT_GENERATION: fields.pop("task")}
        return sealed.to_bytes({"schema": SCHEMA_VERSION, **fields, **task})

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Parse what `to_bytes` wrote, or what it wrote before there were tasks.

        1. It has the digest of its content, and is written as `to_bytes` writes it.
        2. Its schema and its task are known.
        3. It has every field and no other, each of its type and within its bounds; no file is listed twice.

        Raises:
            IntegrityError: 1 or 3.
            UnsupportedError: 2, or it is of a version that wrote no digest.
        """
        try:
            fields = sealed.from_bytes(data)
        except ValueError as error:
            _refuse_older(data)
            raise _damaged(error) from error
        schema = fields.pop("schema", None)
        if schema not in (SCHEMA_VERSION, _WITHOUT_TASK):
            raise UnsupportedError(
                f"the manifest has schema {schema!r}, but this version reads {SCHEMA_VERSION}",
                hint="export the model again with this version",
            )
        try:
            return _from_fields(_with_task(fields) if schema == _WITHOUT_TASK else fields)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _damaged(error) from error


def _damaged(error: Exception) -> IntegrityError:
    return IntegrityError(f"the manifest is damaged: {error}", hint="export the model again")


def _refuse_older(data: bytes) -> None:
    """Raise UnsupportedError if the manifest is one of schema 1."""
    document: Mapping[str, Any] = {}
    with suppress(ValueError):
        document = sealed.parse(data)
    if document.get("schema") == 1:
        raise UnsupportedError(
            "the artefact was exported by an earlier version, whose manifests had no digest",
            hint="export the model again: appliance export MODEL; the export reuses stages in the cache",
        )


def _with_task(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a manifest without a task, as they are written now."""
    names = {each.name for each in dataclasses.fields(TextGeneration)}
    if fields.keys() & {"task", TEXT_GENERATION}:
        raise ValueError("it has a task, which its schema does not have")
    task = {name: value for name, value in fields.items() if name in names}
    others = {name: value for name, value in fields.items() if name not in names}
    return {**others, "task": TEXT_GENERATION, TEXT_GENERATION: task}


def _from_fields(fields: Mapping[str, Any]) -> Manifest:
    given = dict(fields)
    task = text(given.pop("task"), "the task")
    if task != TEXT_GENERATION:
        raise UnsupportedError(
            f"the model's task is {task!r}, but this version serves only {TEXT_GENERATION}",
            hint="use a version that supports this task",
        )
    files = tuple(FileEntry.from_fields(entry) for entry in given.pop("files"))
    manifest = Manifest(task=TextGeneration.from_fields(given.pop(TEXT_GENERATION)), files=files, **given)
    names = {entry.name for entry in files}
    if len(names) != len(files) or len(files) > _MAX_FILES or MANIFEST_NAME in names:
        raise ValueError("it lists a file twice, too many files, or itself")
    for name in (manifest.model, manifest.target, manifest.preset):
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a name")
    for key in ("architecture", "provenance", "license"):
        text(getattr(manifest, key), key)
    for mapping in (manifest.inputs, manifest.options, manifest.versions, manifest.quality):
        if not isinstance(mapping, dict):
            raise TypeError("one of its tables is not an object")
    if manifest.runtime not in _RUNTIMES:
        raise ValueError(f"the runtime {manifest.runtime!r} is not known")
    return manifest
