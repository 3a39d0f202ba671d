"""The tokenizer of a pooling model and the settings of its task, tested as serving will use them."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from tokenizers import Tokenizer, normalizers

from appliance.artefact.manifest import TOKENIZER, Embedding, Reranking
from appliance.artefact.tokenizer import load_tokenizer
from appliance.errors import UnsupportedError
from export.checkpoint import Checkpoint
from export.generation import SETTINGS
from export.tokenizer import token_count, tokenizer_json

Task = TypeVar("Task", Embedding, Reranking)


@dataclass(frozen=True)
class Words(Generic[Task]):
    """The artefact's files and settings besides the graph.

    Attributes:
        tokenizer: content of tokenizer.json.
        task: the settings for the manifest.
    """

    tokenizer: bytes
    task: Task

    def write(self, folder: Path) -> None:
        """Write the files into the folder."""
        (folder / TOKENIZER).write_bytes(self.tokenizer)
        (folder / SETTINGS).write_text(json.dumps(dataclasses.asdict(self.task), sort_keys=True), encoding="utf-8")


def read_task(folder: Path, kind: type[Task]) -> Task:
    """Read the task's settings from their stage's folder, which is verified."""
    return kind.from_fields(json.loads((folder / SETTINGS).read_bytes()))


def prepared_tokenizer(checkpoint: Checkpoint, vocabulary: int, *, lowercase: bool) -> tuple[bytes, Tokenizer]:
    """The content of tokenizer.json, and the tokenizer itself.

    Args:
        checkpoint: has the published tokenizer.
        vocabulary: rows of the table of tokens.
        lowercase: whether all letters become lower-case first.

    Raises:
        IntegrityError: the file is damaged.
        UnsupportedError: it has an unsupported feature, or more tokens than the table has rows.
    """
    content = tokenizer_json(checkpoint)
    tokenizer = load_tokenizer(content, hint="get the files again")
    tokens = token_count(tokenizer)
    if tokens > vocabulary:
        raise UnsupportedError(f"the tokenizer has {tokens} tokens, but the model's embedding has {vocabulary} rows")
    if lowercase:
        lower = normalizers.Lowercase()
        own = tokenizer.normalizer
        tokenizer.normalizer = lower if own is None else normalizers.Sequence([lower, own])
        content = tokenizer.to_str().encode()
    return content, tokenizer
