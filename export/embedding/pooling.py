"""Reads how a sentence-transformers model makes one vector of a text's token states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from appliance.artefact.manifest import CLS, LAST, MEAN
from appliance.errors import UnsupportedError
from appliance.number import shown
from appliance.sources.formats import POOLING
from export.architecture.encoder import Encoder, Pooling
from export.embedding.body import Body
from export.pooling.files import MODULES, read_modules, read_pooling, require

_LIBRARY = "sentence_transformers."
# The modules that are supported, with their folders; Normalize may be missing, and its folder has no files.
_MODULES = (("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize"))
_MODULE_KEYS = frozenset({"idx", "name", "path", "type"})
# Earlier versions of the library have one key for each mode, later ones have `pooling_mode`.
_FLAGS: Mapping[str, str] = {
    "pooling_mode_cls_token": CLS,
    "pooling_mode_lasttoken": LAST,
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_mean_tokens": MEAN,
    "pooling_mode_weightedmean_tokens": "weightedmean",
}
_DIMENSIONS = ("word_embedding_dimension", "embedding_dimension")
_POOLING_KEYS = frozenset({*_FLAGS, *_DIMENSIONS, "include_prompt", "pooling_mode"})


def pooling_of(files: Mapping[str, Path], body: Body) -> Pooling:
    """Read how the model makes one vector of a text.

    Args:
        files: published name -> path of the files beside the weights.
        body: the description of the model.

    Raises:
        UnsupportedError: a file is missing or has an unknown key, or the model pools in another way or has further
            modules.
        IntegrityError: a file is damaged.
    """
    normalises = _normalises(files)
    stated = read_pooling(files, _POOLING_KEYS)
    for key in _DIMENSIONS:
        require(stated, POOLING, key, body.hidden)
    # Otherwise the tokens of a prefix would not be a part of the mean.
    require(stated, POOLING, "include_prompt", True)
    return Pooling(_mode(stated, (CLS, MEAN) if isinstance(body, Encoder) else (LAST,)), normalises)


def _normalises(files: Mapping[str, Path]) -> bool:
    """Whether the last module normalises the vectors."""
    found = []
    for module in read_modules(files):
        kind = module.get("type")
        if not isinstance(kind, str) or not kind.startswith(_LIBRARY) or module.keys() - _MODULE_KEYS:
            raise UnsupportedError(
                f"{MODULES} has the module {shown(dict(module))}",
                hint="supported: modules of sentence-transformers without arguments",
            )
        found.append((kind.rpartition(".")[2], module.get("path")))
    if found not in (list(_MODULES), list(_MODULES[:-1])):
        raise UnsupportedError(
            f"the modules of the model are {shown(found)}",
            hint=f"supported: {', '.join(f'{kind} in {folder!r}' for kind, folder in _MODULES)}, or without the last",
        )
    return len(found) == len(_MODULES)


def _mode(stated: Mapping[str, Any], supported: Sequence[str]) -> str:
    named = stated.get("pooling_mode")
    modes = [] if named is None else named if isinstance(named, list) else [named]
    modes = modes + [mode for key, mode in _FLAGS.items() if stated.get(key)]
    mode = modes[0] if len(modes) == 1 else None
    if mode not in supported:
        raise UnsupportedError(
            f"the pooling of the model is {', '.join(map(shown, modes)) or 'missing'}",
            hint=f"supported: one of {', '.join(supported)}",
        )
    return str(mode)
