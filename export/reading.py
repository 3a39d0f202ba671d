"""Reads a checkpoint's description and checks it against the tensors: no size is used that only the config states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from appliance.errors import UnsupportedError
from appliance.number import shown
from export.architecture import Architecture, describe
from export.checkpoint import Checkpoint
from export.checkpoint.quantised import HINT, is_quantised

_HEAD = "lm_head.weight"
# Frequencies of the rotation, which old versions of transformers stored. They follow from the configuration.
_DERIVED = ".rotary_emb.inv_freq"
_ADAPTER = ".lora_"


def architecture_of(checkpoint: Checkpoint) -> Architecture:
    """Describe a checkpoint.

    Every size in the description is then a size of tensors in the files, so the files' own size limits it.

    Raises:
        UnsupportedError: see `describe`; or a tensor is missing or unknown, or has another shape than configured.
    """
    return checked_architecture(checkpoint, checkpoint.config)


def checked_architecture(checkpoint: Checkpoint, config: Mapping[str, Any], *, has_head: bool = True) -> Architecture:
    """Describe a checkpoint by another configuration than its own; see `architecture_of`.

    Args:
        checkpoint: the weights.
        config: the configuration.
        has_head: whether the output head matters; otherwise the checkpoint may have one or not.
    """
    architecture = describe(config)
    expected = dict(architecture.tensors())
    for name in checkpoint.names():
        if name == _HEAD and not has_head:
            continue
        if name not in expected and not name.endswith(_DERIVED):
            raise _unknown(name, architecture)
    for name, shape in expected.items():
        found = checkpoint.shape(name)
        if found != shape:
            raise UnsupportedError(
                f"the tensor {name} has the shape {_shown(found)}, but the configuration requires {_shown(shape)}",
                hint="the configuration belongs to another model, or was changed; pull the model again",
            )
    return architecture


def _unknown(name: str, architecture: Architecture) -> UnsupportedError:
    if name == _HEAD:
        return UnsupportedError(
            f"the checkpoint has the tensor {name}, but according to tie_word_embeddings the embedding is used instead",
            hint="set tie_word_embeddings to false in config.json: this is correct whether both tensors differ or not",
        )
    if is_quantised(name):
        return UnsupportedError(f"the weights are quantised: they have the tensor {shown(name)}", hint=HINT)
    if _ADAPTER in name:
        return UnsupportedError(
            f"the weights contain an adapter: they have the tensor {shown(name)}",
            hint="merge the adapter into the model (merge_and_unload in PEFT) and save the merged model",
        )
    return UnsupportedError(
        f"the checkpoint has the tensor {shown(name)}, which {architecture.name} models do not have",
        hint="the configuration may belong to another model; models with further parts are not supported",
    )


def _shown(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "of a single number"
