"""Reads the longest text of a model from the files beside its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from appliance.errors import UnsupportedError
from appliance.number import whole
from export.checkpoint.safetensors_checkpoint import read_json
from export.generation import TOKENIZER_CONFIG


def most_tokens(files: Mapping[str, Path], positions: int, name: str, stated: Any) -> int:
    """The stated limit; without one, that of the tokenizer or of the positions, as in sentence-transformers.

    Args:
        files: published name -> path of the files beside the weights.
        positions: the longest text that the model can compute.
        name: the file that states the limit.
        stated: the value of its `max_seq_length`; None if it has none.

    Raises:
        UnsupportedError: the limit is no number of tokens for which the model has positions.
        IntegrityError: a file is damaged.
    """
    key = "max_seq_length"
    if stated is None and TOKENIZER_CONFIG in files:
        name, key = TOKENIZER_CONFIG, "model_max_length"
        stated = read_json(files[name], name).get(key)
        # Tokenizers without a limit state a huge number.
        if isinstance(stated, int | float) and stated > positions:
            stated = None
    try:
        return positions if stated is None else whole(stated, least=1, most=positions)
    except ValueError as error:
        raise UnsupportedError(
            f"{key} of {name} {error}", hint="the model has positions only for these; get the files again"
        ) from error
