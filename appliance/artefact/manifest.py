"""The artefact's manifest: its files, their digests, and what the engine needs to run them.

docs/formats/manifest.md specifies it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from appliance import sealed
from appliance.artefact.embedding import CLS, DOCUMENT, EMBEDDING, LAST, MEAN, QUERY, Embedding
from appliance.artefact.parts import Conversation, FileEntry, Generation, ModelShape, text
from appliance.artefact.reranking import RERANKING, Reranking
from appliance.artefact.text_generation import TEXT_GENERATION, TextGeneration
from appliance.errors import IntegrityError, UnsupportedError
from appliance.names import NAME

__all__ = [
    "CHAT_TEMPLATE",
    "CLS",
    "DOCUMENT",
    "EMBEDDING",
    "GRAPH",
    "GRAPH_DATA",
    "LAST",
    "MANIFEST_NAME",
    "MEAN",
    "ORT_CPU",
    "ORT_CUDA",
    "QUERY",
    "RERANKING",
    "SCHEMA_VERSION",
    "TENSORRT",
    "TEXT_GENERATION",
    "TOKENIZER",
    "Conversation",
    "Embedding",
    "FileEntry",
    "Generation",
    "Manifest",
    "ModelShape",
    "Reranking",
    "Task",
    "TextGeneration",
    "does",
]

SCHEMA_VERSION = 3
# Schema 2 had no task; the fields of text generation were among the others. Schema 1 had no digest of its own.
_WITHOUT_TASK = 2
# The runtimes, which run the graph.
ORT_CPU = "onnxruntime-cpu"
ORT_CUDA = "onnxruntime-cuda"
TENSORRT = "tensorrt"
MANIFEST_NAME = "manifest.json"
GRAPH = "model.onnx"
GRAPH_DATA = "model.onnx.data"
TOKENIZER = "tokenizer.json"
CHAT_TEMPLATE = "chat_template.jinja"

Task = TextGeneration | Embedding | Reranking
_TASKS: Mapping[str, type[Task]] = {TEXT_GENERATION: TextGeneration, EMBEDDING: Embedding, RERANKING: Reranking}
_DOES: Mapping[str, str] = {
    TEXT_GENERATION: "generates text",
    EMBEDDING: "is an embedding model",
    RERANKING: "is a reranker",
}
_RUNTIMES = frozenset({ORT_CPU, ORT_CUDA, TENSORRT})
_MAX_FILES = 256


@dataclass(frozen=True)
class Manifest:
    """The content of the artefact's manifest.

    Attributes:
        model: the model's catalogue name; also its name in Triton and for clients.
        target: the hardware it was exported for ("cpu", "cuda-sm90").
        preset: the preset's name.
        architecture: the catalogue's architecture name ("qwen2", "qwen3").
        task: what the model does, and the fields that only this task needs.
        files: every file except the manifest, sorted by name.
        inputs: digests of the export's source files, by name.
        options: every export option that influenced a byte.
        versions: library versions that influenced a byte.
        quality: figures of the quality report (mean_kl, ... of text; lowest_cosine, ... of embeddings;
            largest_difference, ... of a reranker).
        provenance: what is known about the origin of the weights ("trusted on first use", ...).
        license: the licence of the weights, as in the catalogue.
        maker: who trained the model, as in the catalogue.
        runtime: the runtime of the graph: ORT_CPU, ORT_CUDA or TENSORRT.
    """

    model: str
    target: str
    preset: str
    architecture: str
    task: Task
    files: tuple[FileEntry, ...]
    inputs: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    quality: Mapping[str, Any] = field(default_factory=dict)
    provenance: str = ""
    license: str = ""
    maker: str = ""
    runtime: str = ORT_CPU

    @property
    def task_name(self) -> str:
        """The name of the task: TEXT_GENERATION, EMBEDDING or RERANKING."""
        return next(name for name, kind in _TASKS.items() if isinstance(self.task, kind))

    @property
    def text_generation(self) -> TextGeneration:
        """The task, for a reader that serves only text generation.

        Raises:
            UnsupportedError: the model's task is another.
        """
        if not isinstance(self.task, TextGeneration):
            raise UnsupportedError(
                f"{self.model} {does(self.task_name)}; it does not generate text",
                hint="use a model that generates text",
            )
        return self.task

    @property
    def embedding(self) -> Embedding:
        """The task, for a reader that serves only embeddings.

        Raises:
            UnsupportedError: the model's task is another.
        """
        if not isinstance(self.task, Embedding):
            raise UnsupportedError(
                f"{self.model} {does(self.task_name)}; it is not an embedding model", hint="use an embedding model"
            )
        return self.task

    @property
    def reranking(self) -> Reranking:
        """The task, for a reader that serves only rerankers.

        Raises:
            UnsupportedError: the model's task is another.
        """
        if not isinstance(self.task, Reranking):
            raise UnsupportedError(f"{self.model} {does(self.task_name)}; it is not a reranker", hint="use a reranker")
        return self.task

    @property
    def shape(self) -> ModelShape:
        """The shape; raises like `text_generation`."""
        return self.text_generation.shape

    @property
    def generation(self) -> Generation:
        """The generation settings; raises like `text_generation`."""
        return self.text_generation.generation

    @property
    def conversation(self) -> Conversation:
        """The conversation settings; raises like `text_generation`."""
        return self.text_generation.conversation

    def file(self, name: str) -> FileEntry:
        """Return the entry of `name`.

        Raises:
            IntegrityError: the manifest does not list the file.
        """
        for entry in self.files:
            if entry.name == name:
                return entry
        raise IntegrityError(f"the manifest of {self.model} does not list {name!r}", hint="export the model again")

    def graph_digests(self) -> dict[str, str]:
        """The sha256 of each file of the graph, by name.

        Raises:
            IntegrityError: the manifest lists no graph.
        """
        data = [entry for entry in self.files if entry.name == GRAPH_DATA]
        return {entry.name: entry.sha256 for entry in (self.file(GRAPH), *data)}

    def to_bytes(self) -> bytes:
        """Serialise, with the digest of the content. Equal manifests give equal bytes."""
        fields = dataclasses.asdict(self)
        task = {"task": self.task_name, self.task_name: fields.pop("task")}
        return sealed.to_bytes({"schema": SCHEMA_VERSION, **fields, **task})

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Parse the output of `to_bytes`, also that of schema 2.

        1. The digest matches the content, and the bytes are as `to_bytes` writes them.
        2. The schema and the task are known.
        3. All fields and no others are there, each of its type and within its bounds; no file is listed twice.

        Raises:
            IntegrityError: 1 or 3.
            UnsupportedError: 2, or the manifest's version had no digest.
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


def does(task: str) -> str:
    """What a model with this task does, for messages: "generates text", "is a reranker"."""
    return _DOES[task]


def _damaged(error: Exception) -> IntegrityError:
    return IntegrityError(f"the manifest is damaged: {error}", hint="export the model again")


def _refuse_older(data: bytes) -> None:
    """Raise UnsupportedError if the manifest has schema 1."""
    document: Mapping[str, Any] = {}
    with suppress(ValueError):
        document = sealed.parse(data)
    if document.get("schema") == 1:
        raise UnsupportedError(
            "the artefact was exported by an earlier version, whose manifests had no digest",
            hint="export the model again: appliance export MODEL; the export reuses stages in the cache",
        )


def _with_task(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the fields of schema 2, which has no task, to the current schema."""
    names = {each.name for each in dataclasses.fields(TextGeneration)}
    if fields.keys() & {"task", TEXT_GENERATION}:
        raise ValueError("it has a task, which its schema does not have")
    task = {name: value for name, value in fields.items() if name in names}
    others = {name: value for name, value in fields.items() if name not in names}
    return {**others, "task": TEXT_GENERATION, TEXT_GENERATION: task}


def _from_fields(fields: Mapping[str, Any]) -> Manifest:
    given = dict(fields)
    task = text(given.pop("task"), "the task")
    if task not in _TASKS:
        raise UnsupportedError(
            f"the model's task is {task!r}, but this version supports only {', '.join(_TASKS)}",
            hint="use a version that supports this task",
        )
    files = tuple(FileEntry.from_fields(entry) for entry in given.pop("files"))
    manifest = Manifest(task=_TASKS[task].from_fields(given.pop(task)), files=files, **given)
    names = {entry.name for entry in files}
    if len(names) != len(files) or len(files) > _MAX_FILES or MANIFEST_NAME in names:
        raise ValueError("it lists a file twice, too many files, or itself")
    for name in (manifest.model, manifest.target, manifest.preset):
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a name")
    for key in ("architecture", "provenance", "license", "maker"):
        text(getattr(manifest, key), key)
    for mapping in (manifest.inputs, manifest.options, manifest.versions, manifest.quality):
        if not isinstance(mapping, dict):
            raise TypeError("one of its tables is not an object")
    if manifest.runtime not in _RUNTIMES:
        raise ValueError(f"the runtime {manifest.runtime!r} is not known")
    return manifest
