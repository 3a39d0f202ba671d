"""Tiny decoders that embed texts, in the layout of sentence-transformers, and an artefact of one."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, processors

from appliance.artefact.folder import file_entry
from appliance.artefact.manifest import MANIFEST_NAME, TOKENIZER, Manifest
from export.checkpoint import open_checkpoint
from export.embedding.export import EmbeddingExport
from tests.checkpoints import make_tiny_checkpoint

END, END_TEXT = 256, "<|endoftext|>"
PREFIX = "Instruct: find it\nQuery:"
# Token ids of texts of several lengths, with the last token.
TEXTS = ([5, 9, END], [END], [*range(40, 75), END], [201, 202, 203, END])


def make_tiny_decoder_embedder(folder: Path, *, names: str = "model.", **config: Any) -> Path:
    """Write a Qwen3 without output head, and the files of sentence-transformers; return `folder`.

    Args:
        folder: made if absent.
        names: the beginning of the tensors' names; sentence-transformers omits "model.".
        config: keys of config.json to add or replace.
    """
    make_tiny_checkpoint(folder, "qwen3", tie=True, **config)
    weights = load_file(folder / "model.safetensors")
    save_file(
        {f"{names}{name.removeprefix('model.')}": tensor for name, tensor in weights.items()},
        folder / "model.safetensors",
    )
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END_TEXT}", pair=f"$A {END_TEXT} $B {END_TEXT}", special_tokens=[(END_TEXT, END)]
    )
    kinds = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    documents = {
        "modules.json": [
            {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for index, (kind, path) in enumerate(kinds.items())
        ],
        "1_Pooling.config.json": {"pooling_mode_lasttoken": True, "include_prompt": True},
        "config_sentence_transformers.json": {"prompts": {"query": PREFIX, "document": ""}},
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document), encoding="utf-8")
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    return folder


def make_decoder_embedder_artefact(folder: Path, model: str = "tiny-decoder") -> Path:
    """Write an artefact that the real engine runs into `folder`, which is made; returns `folder`.

    Its vectors may be cut to 8 dimensions.
    """
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        paths = make_tiny_decoder_embedder(Path(scratch), matryoshka_dimensions=[64, 8]).iterdir()
        export = EmbeddingExport.of(open_checkpoint({path.name: path for path in paths}))
        export.build(folder, lambda _done, _total: None)
        words = export.words()
    (folder / TOKENIZER).write_bytes(words.tokenizer)
    files = tuple(file_entry(path) for path in sorted(folder.iterdir()))
    manifest = Manifest(model, "cpu", "float32", "qwen3", words.task, files, inputs={}, license="Apache-2.0")
    (folder / MANIFEST_NAME).write_bytes(manifest.to_bytes())
    return folder
