"""An artefact with random weights that the real engine runs, fast: right in shape, without meaning."""

from __future__ import annotations

from pathlib import Path

from appliance.artefact.folder import file_entry
from appliance.artefact.manifest import (
    CHAT_TEMPLATE,
    MANIFEST_NAME,
    TOKENIZER,
    Generation,
    Manifest,
    ModelShape,
    TextGeneration,
)
from export.architecture import describe
from export.checkpoint import open_checkpoint
from export.lowering import ort
from export.presets import REFERENCE
from tests import checkpoints

TINY = "tiny-instruct"
END_TOKENS = (258, 256)
# At some thousand tokens a second, enough that a stream is still running when a test does something to it.
CONTEXT_TOKENS = 1 << 16


def make_tiny_artefact(folder: Path, scratch: Path, model: str = TINY) -> Path:
    """Write the artefact into `folder`, which is made; `scratch` takes the checkpoint. Returns `folder`."""
    folder.mkdir(parents=True)
    checkpoints.make_tiny_checkpoint(scratch, max_position_embeddings=CONTEXT_TOKENS)
    checkpoint = open_checkpoint({path.name: path for path in scratch.iterdir()})
    architecture = describe(checkpoint.config)
    ort.build(checkpoint, architecture, REFERENCE, checkpoints.VOCABULARY, folder, lambda _done, _total: None)
    tokenizer = checkpoints.tiny_tokenizer()
    (folder / TOKENIZER).write_text(tokenizer.to_str(), encoding="utf-8")
    (folder / CHAT_TEMPLATE).write_text(checkpoints.CHAT_TEMPLATE, encoding="utf-8")
    attention = architecture.layers[0].attention
    manifest = Manifest(
        model=model,
        target="cpu",
        preset="balanced",
        architecture=architecture.name,
        task=TextGeneration(
            ModelShape(
                layers=len(architecture.layers),
                kv_heads=attention.kv_heads,
                head_dim=attention.head_dim,
                vocabulary=architecture.vocabulary,
                tokens=tokenizer.get_vocab_size(),
                context_tokens=architecture.context_tokens,
            ),
            Generation(eos_token_ids=END_TOKENS),
        ),
        files=tuple(file_entry(path) for path in sorted(folder.iterdir())),
        inputs={},
    )
    (folder / MANIFEST_NAME).write_bytes(manifest.to_bytes())
    return folder
