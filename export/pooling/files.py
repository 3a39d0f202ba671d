"""The files that sentence-transformers writes beside a model, read strictly: an unknown key is an error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from appliance.errors import IntegrityError, UnsupportedError
from appliance.number import shown
from appliance.sources.formats import POOLING
from export.checkpoint.safetensors_checkpoint import read_json

MODULES = "modules.json"
PROMPTS = "config_sentence_transformers.json"
# The library takes the first that exists.
_TRANSFORMERS = ("sentence_bert_config.json", "sentence_xlm-roberta_config.json")
_PUBLISHED = {POOLING: "1_Pooling/config.json"}
_AGAIN = "get the files again"


def read_modules(files: Mapping[str, Path]) -> list[Mapping[str, Any]]:
    """The modules of the model, in order.

    Raises:
        UnsupportedError: the file is missing.
        IntegrityError: it is not a list of objects.
    """
    try:
        modules = json.loads(_path(files, MODULES).read_bytes())
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{MODULES} is not JSON: {error}", hint=_AGAIN) from error
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise IntegrityError(f"{MODULES} is not a list of modules", hint=_AGAIN)
    return modules


def read_pooling(files: Mapping[str, Path], known: AbstractSet[str]) -> dict[str, Any]:
    """The configuration of the pooling, which must exist; see `_known` for the errors."""
    return _known(read_json(_path(files, POOLING), _PUBLISHED[POOLING]), _PUBLISHED[POOLING], known)


def read_transformer(files: Mapping[str, Path], known: AbstractSet[str]) -> tuple[str, dict[str, Any]]:
    """Name and content of the configuration of the first module; empty if there is none."""
    name = next((name for name in _TRANSFORMERS if name in files), _TRANSFORMERS[0])
    return name, _known(read_json(files[name], name) if name in files else {}, name, known)


def read_prompts(files: Mapping[str, Path], known: AbstractSet[str]) -> dict[str, Any]:
    """The configuration with the prompts; empty if there is none."""
    return _known(read_json(files[PROMPTS], PROMPTS) if PROMPTS in files else {}, PROMPTS, known)


def require(document: Mapping[str, Any], name: str, key: str, *allowed: Any) -> None:
    """Check that a key of the file `name` has one of the supported values; it may be missing or null.

    Raises:
        UnsupportedError: it has another value.
    """
    value = document.get(key)
    if value is not None and value not in allowed:
        raise UnsupportedError(
            f"{key} of {name} is {shown(value)}, which this version does not support",
            hint=f"supported: {', '.join(map(json.dumps, allowed))}",
        )


def _known(document: dict[str, Any], name: str, known: AbstractSet[str]) -> dict[str, Any]:
    """Return the document of the file `name`.

    Raises:
        UnsupportedError: it has a key that is not known.
    """
    unknown = sorted(document.keys() - known)
    if unknown:
        raise UnsupportedError(
            f"{name} has unknown keys: {', '.join(map(shown, unknown))}",
            hint="an unknown key could change the vectors; if you are sure that a key does not, delete the key from "
            "the file",
        )
    return document


def _path(files: Mapping[str, Path], name: str) -> Path:
    if name not in files:
        published = _PUBLISHED.get(name, name)
        raise UnsupportedError(
            f"the model has no {published}",
            hint="an embedding model needs the files of sentence-transformers: copy the publisher's "
            f"{published} to the model's folder",
        )
    return files[name]
