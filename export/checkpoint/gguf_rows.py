"""The order of the rows of query and key matrices in GGUF files; of some architectures it is not the published one.

Published models rotate the two halves of a head: element i with element i + head_dim / 2. llama.cpp rotates neighbours
in these architectures, so its converter puts the two rows of a pair beside each other. Here alone this is undone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from appliance.errors import UnsupportedError
from appliance.number import whole

_HALVES = 2
# Ending of a tensor's name -> the keys of config.json with the number of its heads; the first that is there counts.
_HEADS: Mapping[str, tuple[str, ...]] = {
    ".self_attn.q_proj.weight": ("num_attention_heads",),
    ".self_attn.k_proj.weight": ("num_key_value_heads", "num_attention_heads"),
}


def heads_in_pairs(name: str, rows: int, config: Mapping[str, Any]) -> int | None:
    """The number of heads whose rows are in pairs in the tensor `name`; None if its rows are in the published order.

    Raises:
        UnsupportedError: the rows are not that many heads with pairs.
    """
    keys = next((keys for ending, keys in _HEADS.items() if name.endswith(ending)), None)
    if keys is None:
        return None
    stated = next((config[key] for key in keys if key in config), None)
    try:
        heads = whole(stated, least=1, most=rows)
    except ValueError as error:
        raise UnsupportedError(f"the GGUF file's {keys[0]} {error}: {name} has {rows} rows") from error
    if rows % (_HALVES * heads):
        raise UnsupportedError(f"the {rows} rows of {name} cannot be divided into {heads} heads with pairs of rows")
    return heads


def published_order(rows: npt.NDArray[np.uint8], heads: int) -> npt.NDArray[np.uint8]:
    """Put the first rows of a head's pairs before the second ones: a read-only copy, uint8 [rows, bytes per row]."""
    count, width = rows.shape
    pairs = rows.reshape(heads, count // (_HALVES * heads), _HALVES, width)
    published = np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(count, width)
    published.flags.writeable = False
    return published
