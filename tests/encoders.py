"""Tiny sentence encoders in the layout of sentence-transformers, with seeded random weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

HIDDEN, INNER, HEADS, LAYERS, VOCABULARY, POSITIONS = 32, 80, 4, 2, 50, 40
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "pump", "is", "hot", "query", ":", "a", "##s", "one", "two")
# Token ids of texts of several lengths; a batch pads the shorter ones.
TEXTS = ([2, 7, 9, 3], [2, 3], [2, *range(4, 34), 3], [2, 11, 12, 13, 14, 3])


def make_tiny_encoder(
    folder: Path, model_type: str = "bert", *, mode: str = "mean_tokens", normalise: bool = True, **config: Any
) -> Path:
    """Write config.json, model.safetensors, tokenizer.json and the files of sentence-transformers; return `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(folder, encoder_shapes())
    folders = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    documents = {
        "config.json": {**encoder_config(model_type), **config},
        "modules.json": [
            {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for index, (kind, path) in enumerate(list(folders.items())[: 3 if normalise else 2])
        ],
        "1_Pooling.config.json": {"word_embedding_dimension": HIDDEN, f"pooling_mode_{mode}": True},
        "sentence_bert_config.json": {"max_seq_length": 32, "do_lower_case": False},
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document), encoding="utf-8")
    (folder / "tokenizer.json").write_text(tiny_word_pieces().to_str(), encoding="utf-8")
    return folder


def tiny_word_pieces() -> Tokenizer:
    """A tokenizer of BERT's kind, with the truncation and the padding that some publishers leave switched on."""
    words = {word: index for index, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.add_special_tokens(list(WORDS[:4]))
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=4)
    return tokenizer


def encoder_config(model_type: str) -> dict[str, Any]:
    """The content of config.json."""
    return {
        "hidden_act": "gelu",
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": POSITIONS,
        "model_type": model_type,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "pad_token_id": 1 if model_type == "xlm-roberta" else 0,
        "type_vocab_size": 2,
        "vocab_size": VOCABULARY,
    }


def save_weights(folder: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Write model.safetensors with seeded random tensors of these shapes."""
    generator = np.random.default_rng(5)
    tensors = {}
    for name, shape in shapes.items():
        values = generator.standard_normal(shape).astype(np.float32)
        scale = 1.5 / np.sqrt(shape[-1]) if len(shape) == 2 and "embeddings" not in name else 0.3
        tensors[name] = np.float32(scale) * values + np.float32(name.endswith("LayerNorm.weight"))
    save_file(tensors, folder / "model.safetensors")


def encoder_shapes() -> dict[str, tuple[int, ...]]:
    """The shapes of the encoder's tensors by name."""
    norms = {"embeddings.LayerNorm": HIDDEN}
    dense = {}
    for index in range(LAYERS):
        prefix = f"encoder.layer.{index}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            dense[f"{prefix}.attention.{part}"] = (HIDDEN, HIDDEN)
        dense |= {f"{prefix}.intermediate.dense": (INNER, HIDDEN), f"{prefix}.output.dense": (HIDDEN, INNER)}
        norms |= {f"{prefix}.{part}.LayerNorm": HIDDEN for part in ("attention.output", "output")}
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (VOCABULARY, HIDDEN),
        "embeddings.position_embeddings.weight": (POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": (2, HIDDEN),
    }
    for name, shape in dense.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name, width in norms.items():
        shapes |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    return shapes
