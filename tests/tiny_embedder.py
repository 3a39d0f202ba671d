"""An embedding artefact with random weights that the real embedder runs, fast: right in shape, without meaning."""

from __future__ import annotations

import tempfile
from pathlib import Path

from appliance.artefact.folder import file_entry
from appliance.artefact.manifest import MANIFEST_NAME, TOKENIZER, Embedding, Manifest
from export.checkpoint import open_checkpoint
from export.embedding.reading import EmbeddingModel
from export.lowering import encoder as lowering
from tests.encoders import HIDDEN, VOCABULARY, make_tiny_encoder, tiny_word_pieces

MAX_TOKENS = 32
FIRST, LAST = 2, 3


def make_tiny_embedder(folder: Path, model: str = "tiny-embedder") -> Path:
    """Write the artefact into `folder`, which is made; returns `folder`."""
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        paths = make_tiny_encoder(Path(scratch)).iterdir()
        checkpoint = open_checkpoint({path.name: path for path in paths})
        read = EmbeddingModel.of(checkpoint)
        lowering.build(checkpoint, read.body, read.pooling, folder, lambda _done, _total: None)
    tokenizer = tiny_word_pieces()
    tokenizer.no_truncation()
    tokenizer.no_padding()
    (folder / TOKENIZER).write_text(tokenizer.to_str(), encoding="utf-8")
    task = Embedding(HIDDEN, MAX_TOKENS, "mean", True, VOCABULARY, (FIRST,), (LAST,), {"query": "query : "})
    files = tuple(file_entry(path) for path in sorted(folder.iterdir()))
    manifest = Manifest(model, "cpu", "float32", "bert", task, files, inputs={}, license="Apache-2.0")
    (folder / MANIFEST_NAME).write_bytes(manifest.to_bytes())
    return folder
