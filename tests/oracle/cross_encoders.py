"""Writes the golden files of rerankers."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers

from tests.cross_encoders import PAIRS, make_tiny_cross_encoder
from tests.oracle.encoders import write_golden


def write_cross_encoders() -> None:
    """Write the logits of the tiny rerankers' pairs."""
    for kind, pairs in PAIRS.items():
        with tempfile.TemporaryDirectory() as folder:
            model = transformers.AutoModelForSequenceClassification.from_pretrained(
                make_tiny_cross_encoder(Path(folder), kind), dtype=torch.float32, attn_implementation="eager"
            ).eval()
            logits = [_logit(model, kind, ids, first_length) for ids, first_length in pairs]
        write_golden(f"tiny-cross-encoder-{kind}", {"logits": logits})


def _logit(model: Any, kind: str, ids: list[int], first_length: int) -> float:
    types = [int(kind == "bert" and place >= first_length) for place in range(len(ids))]
    logits = model(torch.tensor([ids]), token_type_ids=torch.tensor([types])).logits
    return round(logits.item(), 6)
