"""Writes the golden files of sentence encoders."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers

from tests.encoders import TEXTS, make_tiny_encoder

GOLDEN = Path(__file__).parent.parent / "golden"
KINDS = ("bert", "xlm-roberta")
SENTENCES = (
    "The pump of line 3 is hot.",
    "A machine on the third line overheats.",
    "Bananas are yellow.",
    "Überhöhte Temperatur! 温度が高い (95 °C)",
    # Longer than the truncation in the published tokenizer.json, which sentence-transformers does not use.
    "The pump of line 3 is hot. " * 25,
)


def write_encoders(minilm: Path | None) -> None:
    """Write the tiny encoders' golden files; that of all-MiniLM-L6-v2 only if its folder is given."""
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            model = _model(make_tiny_encoder(Path(folder), kind))
            states = [model(torch.tensor([ids])).last_hidden_state[0] for ids in TEXTS]
        content = {"cls": [shown(state[0]) for state in states], "mean": [shown(state.mean(0)) for state in states]}
        write_golden(f"tiny-encoder-{kind}", content)
    if minilm:
        write_golden("all-minilm-l6-v2", _real(minilm))


def _real(folder: Path) -> dict[str, Any]:
    tokenizer, model = transformers.AutoTokenizer.from_pretrained(folder), _model(folder)
    texts = []
    for text in SENTENCES:
        ids = tokenizer(text)["input_ids"]
        pooled = model(torch.tensor([ids])).last_hidden_state[0].mean(0)
        texts.append({"text": text, "ids": ids, "embedding": shown(pooled / pooled.norm())})
    return {"texts": texts}


def _model(folder: Path) -> Any:
    return transformers.AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def shown(values: Any) -> list[float]:
    """The numbers of a vector, rounded."""
    return [round(value, 6) for value in values.tolist()]


def write_golden(name: str, content: Mapping[str, Any]) -> None:
    """Write a golden file with the versions of the libraries."""
    made_with = {"torch": torch.__version__, "transformers": transformers.__version__}
    text = json.dumps({"made_with": made_with, **content}, ensure_ascii=False, sort_keys=True)
    (GOLDEN / f"{name}.json").write_text(
        text.replace("}, {", "},\n{").replace("], [", "],\n[") + "\n", encoding="utf-8"
    )
