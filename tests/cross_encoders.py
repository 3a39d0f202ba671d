"""Tiny rerankers in the layout of transformers, with seeded random weights, and an artefact of one."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from tokenizers import processors

from appliance.artefact.folder import file_entry
from appliance.artefact.manifest import MANIFEST_NAME, Manifest
from export.checkpoint import open_checkpoint
from export.reranking.export import RerankingExport
from tests.encoders import HIDDEN, encoder_config, encoder_shapes, save_weights, tiny_word_pieces

MAX_TOKENS = 32
# Token ids of pairs of several lengths, each with the number of tokens before its second text.
PAIRS = {
    "bert": (([2, 4, 5, 3, 6, 7, 3], 4), ([2, 12, 3, 13, 3], 3), ([2, *range(4, 14), 3, *range(20, 38), 3], 12)),
    "xlm-roberta": (([2, 4, 5, 3, 3, 6, 7, 3], 5), ([2, 12, 3, 3, 13, 3], 4), ([2, 9, 3, 3, *range(4, 30), 3], 4)),
}
_PREFIX = {"bert": "bert.", "xlm-roberta": "roberta."}
_HEADS = {
    "bert": {"bert.pooler.dense": HIDDEN, "classifier": 1},
    "xlm-roberta": {"classifier.dense": HIDDEN, "classifier.out_proj": 1},
}
_ARCHITECTURES = {"bert": "BertForSequenceClassification", "xlm-roberta": "XLMRobertaForSequenceClassification"}


def make_tiny_cross_encoder(folder: Path, model_type: str = "bert", *, labels: int = 1, **config: Any) -> Path:
    """Write config.json, model.safetensors, tokenizer.json and tokenizer_config.json; return `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    types = 2 if model_type == "bert" else 1
    shapes = {f"{_PREFIX[model_type]}{name}": shape for name, shape in encoder_shapes().items()}
    shapes[f"{_PREFIX[model_type]}embeddings.token_type_embeddings.weight"] = (types, HIDDEN)
    for name, width in _HEADS[model_type].items():
        rows = labels if width == 1 else width
        shapes |= {f"{name}.weight": (rows, HIDDEN), f"{name}.bias": (rows,)}
    save_weights(folder, shapes)
    stated = {
        **encoder_config(model_type),
        "architectures": [_ARCHITECTURES[model_type]],
        "id2label": {str(label): f"LABEL_{label}" for label in range(labels)},
        "type_vocab_size": types,
        **config,
    }
    tokenizer = tiny_word_pieces()
    if model_type != "bert":
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] [SEP] $B [SEP]",
            special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
        )
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    for name, document in (("config.json", stated), ("tokenizer_config.json", {"model_max_length": MAX_TOKENS})):
        (folder / name).write_text(json.dumps(document), encoding="utf-8")
    return folder


def make_tiny_reranker(folder: Path, model: str = "tiny-reranker", model_type: str = "bert") -> Path:
    """Write an artefact that the real engine runs into `folder`, which is made; returns `folder`."""
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        paths = make_tiny_cross_encoder(Path(scratch), model_type).iterdir()
        export = RerankingExport.of(open_checkpoint({path.name: path for path in paths}))
        export.build(folder, lambda _done, _total: None)
        words = export.words()
    (folder / "tokenizer.json").write_bytes(words.tokenizer)
    files = tuple(file_entry(path) for path in sorted(folder.iterdir()))
    manifest = Manifest(model, "cpu", "float32", model_type, words.task, files, inputs={}, license="Apache-2.0")
    (folder / MANIFEST_NAME).write_bytes(manifest.to_bytes())
    return folder
