"""Writes the golden file of a decoder that embeds texts."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
import transformers

from tests.decoder_embedders import TEXTS, make_tiny_decoder_embedder
from tests.oracle.encoders import shown, write_golden


def write_decoder_embedders() -> None:
    """Write the normalised state of the last token of each text."""
    with tempfile.TemporaryDirectory() as folder:
        model = transformers.AutoModel.from_pretrained(
            make_tiny_decoder_embedder(Path(folder)), dtype=torch.float32, attn_implementation="eager"
        ).eval()
        states = [model(torch.tensor([ids])).last_hidden_state[0, -1] for ids in TEXTS]
    write_golden("tiny-decoder-embedder", {"vectors": [shown(state / state.norm()) for state in states]})
