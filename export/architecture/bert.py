"""BERT and XLM-RoBERTa: converts a Hugging Face configuration to the description of an encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from appliance.errors import UnsupportedError
from export.architecture.configuration import Configuration
from export.architecture.encoder import Encoder

# model_type -> whether the positions begin after the padding's id.
_SHIFTED: Mapping[str, bool] = {"bert": False, "xlm-roberta": True}
_EPSILON = 1e-12


def is_encoder(config: Mapping[str, Any]) -> bool:
    """Whether the configuration is that of an encoder that `describe_encoder` knows by name."""
    return str(config.get("model_type")) in _SHIFTED


def describe_encoder(config: Mapping[str, Any]) -> Encoder:
    """Convert a checkpoint's configuration to a description.

    Args:
        config: the keys of a Hugging Face config.json.

    Raises:
        UnsupportedError: an unknown architecture, an unknown key, or a key with an unsupported value.
    """
    model_type = config.get("model_type")
    if not is_encoder(config):
        raise UnsupportedError(
            f"the architecture {model_type!r} is not a supported encoder", hint=f"supported: {', '.join(_SHIFTED)}"
        )
    reader = Configuration(config)
    hidden, heads = reader.positive("hidden_size"), reader.positive("num_attention_heads")
    if hidden % heads:
        raise UnsupportedError(f"hidden_size {hidden} is not a multiple of num_attention_heads {heads}")
    reader.require("hidden_act", "gelu")
    reader.require("position_embedding_type", "absolute")
    reader.require("is_decoder", False)
    reader.require("is_causal", False)
    shifted = _SHIFTED[str(model_type)]
    padding = reader.positive("pad_token_id", 1 if shifted else 0, least=0)
    positions = reader.positive("max_position_embeddings")
    first = padding + 1 if shifted else 0
    if first >= positions:
        raise UnsupportedError(f"max_position_embeddings {positions} leaves no position after the padding's {padding}")
    encoder = Encoder(
        name=str(model_type),
        hidden=hidden,
        heads=heads,
        inner=reader.positive("intermediate_size"),
        layers=reader.positive("num_hidden_layers"),
        vocabulary=reader.positive("vocab_size"),
        positions=positions,
        first_position=first,
        token_types=reader.positive("type_vocab_size"),
        norm_epsilon=reader.number("layer_norm_eps", _EPSILON),
    )
    reader.finish()
    return encoder
