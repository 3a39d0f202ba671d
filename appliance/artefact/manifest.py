"""The artefact's manifest: which files, their digests, and what the engine must know to run them. It does no I/O."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.errors import IntegrityError, UnsupportedError

SCHEMA_VERSION = 1
# What computes a graph.
ORT_CPU = "onnxruntime-cpu"
ORT_CUDA = "onnxruntime-cuda"
TENSORRT = "tensorrt"
MANIFEST_NAME = "manifest.json"
GRAPH = "model.onnx"
TOKENIZER = "tokenizer.json"
CHAT_TEMPLATE = "chat_template.jinja"


@dataclass(frozen=True)
class FileEntry:
    """One file of the artefact, by plain name (no folder part)."""

    name: str
    size_bytes: int
    sha256: str


CHARACTERS_A_TOKEN = 16


@dataclass(frozen=True)
class ModelShape:
    """What the engine needs to allocate the KV cache and feed the graph.

    Attributes:
        layers: number of past/present pairs in the graph.
        kv_heads: key/value heads a layer.
        head_dim: elements a head.
        vocabulary: columns of the logits.
        tokens: entries of the tokenizer; logits at or beyond this index are never sampled.
        context_tokens: longest prompt plus completion the rotary tables and the training allow.
        cache_dtype: element type of past/present: "float32", "float16" or "bfloat16".
    """

    layers: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tokens: int
    context_tokens: int
    cache_dtype: str = "float32"

    @property
    def max_characters(self) -> int:
        """The longest text that is looked at. Texts have three to five characters a token: more cannot fit."""
        return self.context_tokens * CHARACTERS_A_TOKEN

    @property
    def cache_bytes_per_token(self) -> int:
        """Bytes of key and value cache that one token occupies over all layers."""
        return 2 * self.layers * self.kv_heads * self.head_dim * (4 if self.cache_dtype == "float32" else 2)


@dataclass(frozen=True)
class Generation:
    """Defaults of the checkpoint's publisher, and the tokens that end a completion."""

    eos_token_ids: tuple[int, ...]
    bos_token: str = ""
    eos_token: str = ""
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0


@dataclass(frozen=True)
class Conversation:
    """How the model was trained to talk beyond plain turns.

    Attributes:
        tools: the form in which it writes tool calls ("hermes", "qwen3-coder"); empty if it was not trained to.
        thinking: whether it can think before it answers.
    """

    tools: str = ""
    thinking: bool = False


@dataclass(frozen=True)
class Manifest:
    """The artefact's table of contents.

    Attributes:
        model: the model's catalogue name; also its name in Triton and for clients.
        target: the hardware it was exported for ("cpu", "cuda-sm90").
        preset: the preset's name.
        architecture: the catalogue's architecture name ("qwen2", "qwen3").
        shape: see ModelShape.
        generation: see Generation.
        files: every file beside the manifest, sorted by name.
        inputs: digests of the source files that went in, by name.
        options: every option of the export that influenced a byte.
        versions: library versions that influenced a byte.
        quality: figures of the quality report (mean_kl, top1_agreement, perplexity, greedy_agreement, ...).
        provenance: what is known about the origin of the weights ("trusted on first use", ...).
        conversation: see Conversation; None when nobody said, as in artefacts older than this field.
        runtime: what computes the graph: ORT_CPU, ORT_CUDA or TENSORRT.
    """

    model: str
    target: str
    preset: str
    architecture: str
    shape: ModelShape
    generation: Generation
    files: tuple[FileEntry, ...]
    inputs: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    quality: Mapping[str, Any] = field(default_factory=dict)
    provenance: str = ""
    license: str = ""
    conversation: Conversation | None = None
    runtime: str = ORT_CPU

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
        """Serialise: UTF-8 JSON, sorted keys, two spaces, one final newline. Equal manifests give equal bytes."""
        value = {"schema": SCHEMA_VERSION, **dataclasses.asdict(self)}
        if self.conversation is None:
            del value["conversation"]
        return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Parse what `to_bytes` wrote.

        Raises:
            IntegrityError: not JSON, a field missing, unknown or of the wrong type.
            UnsupportedError: a schema version this program does not know.
        """
        try:
            value = json.loads(data)
            schema = value.pop("schema")
            if schema != SCHEMA_VERSION:
                raise UnsupportedError(
                    f"the manifest has schema {schema}, this program knows {SCHEMA_VERSION}",
                    hint="export the model again with this version",
                )
            value["shape"] = ModelShape(**value["shape"])
            generation = value["generation"]
            generation["eos_token_ids"] = tuple(int(token) for token in generation["eos_token_ids"])
            value["generation"] = Generation(**generation)
            value["files"] = tuple(FileEntry(**entry) for entry in value["files"])
            if "conversation" in value:
                value["conversation"] = _conversation(value["conversation"])
            manifest = cls(**value)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise IntegrityError(f"the manifest is damaged: {error}", hint="export the model again") from error
        for entry in manifest.files:
            if "/" in entry.name or "\\" in entry.name or entry.name in {"", ".", "..", MANIFEST_NAME}:
                raise IntegrityError(f"the manifest lists {entry.name!r}, which is not a plain file name")
        return manifest


def _conversation(value: Mapping[str, Any]) -> Conversation:
    conversation = Conversation(**value)
    if not isinstance(conversation.tools, str) or not isinstance(conversation.thinking, bool):
        raise TypeError("conversation has a value of the wrong type")
    return conversation
