"""Cross-encoders on BERT and XLM-RoBERTa: converts a Hugging Face configuration to an encoder and its head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from export.architecture.bert import describe_encoder, is_encoder
from export.architecture.configuration import Configuration
from export.architecture.encoder import Encoder, Head

# model_type -> the prefix of the encoder's tensors, and the head.
_HEADS: Mapping[str, tuple[str, Head]] = {
    "bert": ("bert.", Head("bert.pooler.dense", "classifier")),
    "xlm-roberta": ("roberta.", Head("classifier.dense", "classifier.out_proj")),
}
_ARCHITECTURE = "ForSequenceClassification"
# The function after the logit: the client of the box chooses it, so both values are accepted.
_ACTIVATIONS = (None, "torch.nn.modules.activation.Sigmoid", "torch.nn.modules.linear.Identity")
_OLDER = "sbert_ce_default_activation_function"
_NEWER = "sentence_transformers"


def is_cross_encoder(config: Mapping[str, Any]) -> bool:
    """Whether the configuration is that of an encoder with a head for classes of texts."""
    architectures = config.get("architectures")
    first = architectures[0] if isinstance(architectures, list) and architectures else ""
    return is_encoder(config) and str(first).endswith(_ARCHITECTURE)


def describe_cross_encoder(config: Mapping[str, Any]) -> tuple[Encoder, Head]:
    """Convert a checkpoint's configuration, for which `is_cross_encoder` is true, to a description.

    Raises:
        UnsupportedError: an unknown key, or a key with an unsupported value.
    """
    reader = Configuration(config)
    reader.require(_OLDER, *_ACTIVATIONS)
    stated = reader.below(_NEWER)
    stated.require("activation_fn", *_ACTIVATIONS)
    stated.take("version")
    stated.finish()
    prefix, head = _HEADS[str(config["model_type"])]
    rest = {key: value for key, value in config.items() if key not in {_OLDER, _NEWER}}
    return replace(describe_encoder(rest), prefix=prefix), head
