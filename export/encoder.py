"""Reads the description of a sentence encoder from a folder of sentence-transformers, and checks it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from appliance.errors import IntegrityError, UnsupportedError
from appliance.number import shown, whole
from export.architecture.bert import describe_encoder
from export.architecture.encoder import CLS, MEAN, Encoder, Pooling
from export.checkpoint import Checkpoint
from export.checkpoint.safetensors_checkpoint import read_json

MODULES = "modules.json"
LIMITS = "sentence_bert_config.json"
# Files of a model have no folders here: the file 1_Pooling/config.json has this name.
POOLING = "1_Pooling.config.json"
_MODES: Mapping[str, str] = {"pooling_mode_mean_tokens": MEAN, "pooling_mode_cls_token": CLS}
_KINDS = ("Transformer", "Pooling", "Normalize")
# Tensors that no embedding needs: the head of BERT's training, and integers that count positions.
_UNUSED = ("pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids")


def encoder_of(checkpoint: Checkpoint) -> Encoder:
    """Describe a checkpoint, with sizes that its tensors have.

    Raises:
        UnsupportedError: see `describe_encoder`; or a tensor is missing or unknown, or has another shape.
    """
    encoder = describe_encoder(checkpoint.config)
    expected = dict(encoder.tensors())
    for name in checkpoint.names():
        if name not in expected and name not in _UNUSED:
            raise UnsupportedError(
                f"the checkpoint has the tensor {shown(name)}, which {encoder.name} encoders do not have",
                hint="use the files of a sentence-transformers model, whose weights have no head",
            )
    for name, shape in expected.items():
        found = checkpoint.shape(name)
        if found != shape:
            raise UnsupportedError(
                f"the tensor {name} has the shape {found}, but the configuration requires {shape}",
                hint="the configuration belongs to another model, or was changed; pull the model again",
            )
    return encoder


def pooling_of(files: Mapping[str, Path], encoder: Encoder) -> Pooling:
    """Read how the model makes one vector of a text.

    Args:
        files: published name -> path of the files beside the weights.
        encoder: the description of the model.

    Raises:
        UnsupportedError: a file is missing, or the model pools in another way or has further modules.
        IntegrityError: a file is damaged.
    """
    kinds = _kinds(files)
    if kinds not in (_KINDS, _KINDS[:-1]):
        raise UnsupportedError(
            f"the modules of the model are {', '.join(kinds)}",
            hint=f"supported: {', '.join(_KINDS)}, or without the last",
        )
    stated = _object(files, POOLING)
    modes = [key for key, value in sorted(stated.items()) if key.startswith("pooling_mode_") and value is True]
    if len(modes) != 1 or modes[0] not in _MODES:
        raise UnsupportedError(
            f"{POOLING} sets {', '.join(modes) or 'no mode'}", hint=f"supported: one of {', '.join(_MODES)}"
        )
    limit = _object(files, LIMITS).get("max_seq_length") if LIMITS in files else None
    try:
        most = encoder.most_tokens if limit is None else whole(limit, least=1, most=encoder.most_tokens)
    except ValueError as error:
        raise UnsupportedError(f"max_seq_length of {LIMITS} {error}") from error
    return Pooling(_MODES[modes[0]], normalise=len(kinds) == len(_KINDS), max_tokens=most)


def _kinds(files: Mapping[str, Path]) -> tuple[str, ...]:
    try:
        modules = json.loads(_path(files, MODULES).read_bytes())
        return tuple(str(module["type"]).rpartition(".")[2] for module in modules)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise IntegrityError(f"{MODULES} is not a list of modules: {error}", hint="get the files again") from error


def _object(files: Mapping[str, Path], name: str) -> dict[str, Any]:
    return read_json(_path(files, name), name)


def _path(files: Mapping[str, Path], name: str) -> Path:
    if name not in files:
        origin = "1_Pooling/config.json" if name == POOLING else name
        raise UnsupportedError(f"the model has no {name}", hint=f"copy the publisher's {origin} to {name}")
    return files[name]
