"""A checkpoint in Hugging Face's layout: config.json and one or more safetensors files, with or without an index."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from appliance.errors import IntegrityError, UnsupportedError
from export.checkpoint.quantised import check_not_quantised

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
# The numbers 0, 1, 2, …, which old versions of transformers stored as integers. No graph needs them.
_COUNTED = "embeddings.position_ids"
_FLOATS: Mapping[str, npt.DTypeLike] = {"F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}


class SafetensorsCheckpoint:
    """See `Checkpoint`."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        """Read the configuration and the headers of all safetensors files.

        Raises:
            IntegrityError: a file is damaged or missing, or two files contain the same tensor.
            UnsupportedError: the weights are not plain floats.
        """
        if CONFIG not in files:
            raise UnsupportedError(
                f"the model has no {CONFIG}",
                hint=f"copy {CONFIG} from the publisher's files of the model to its folder",
            )
        self.config: Mapping[str, Any] = read_json(files[CONFIG], CONFIG)
        self.metadata: Mapping[str, Any] = {}
        self.files: Mapping[str, Path] = {name: path for name, path in files.items() if not _is_weights(name)}
        check_not_quantised(self.config)
        shards = {name: path for name, path in files.items() if _is_weights(name)}
        self._opened = {name: _open(name, path) for name, path in sorted(shards.items())}
        self._where: dict[str, str] = {}
        for shard, opened in self._opened.items():
            for tensor in opened.keys():  # noqa: SIM118 (not a mapping)
                if tensor in self._where:
                    raise IntegrityError(
                        f"{self._where[tensor]} and {shard} both contain {tensor}",
                        hint="keep one version of the weights in the folder",
                    )
                self._where[tensor] = shard
        for tensor in self._where:
            if not tensor.endswith(_COUNTED):
                self._check_type(tensor)
        if INDEX in files:
            self._check_index(read_json(files[INDEX], INDEX))

    def names(self) -> Sequence[str]:
        """See `Checkpoint`."""
        return sorted(self._where)

    def shape(self, name: str) -> tuple[int, ...]:
        """See `Checkpoint`."""
        return tuple(self._file(name).get_slice(name).get_shape())

    def source_type(self, name: str) -> str:
        """See `Checkpoint`."""
        return str(self._file(name).get_slice(name).get_dtype())

    def read(self, name: str) -> npt.NDArray[np.float32]:
        """See `Checkpoint`."""
        tensor = self._file(name).get_tensor(name)
        return np.ascontiguousarray(tensor, dtype=np.float32)

    def raw(self, name: str) -> npt.NDArray[np.uint8]:
        """See `Checkpoint`."""
        raise UnsupportedError(f"{name} has the type {self.source_type(name)}, which has no quantised blocks")

    def _file(self, name: str) -> Any:
        if name not in self._where:
            raise UnsupportedError(f"the checkpoint has no tensor {name}")
        return self._opened[self._where[name]]

    def _check_type(self, name: str) -> None:
        kind = self.source_type(name)
        if kind not in _FLOATS:
            raise UnsupportedError(
                f"{name} has the type {kind}, which this version cannot read", hint="use the bf16 version of the model"
            )

    def _check_index(self, index: Mapping[str, Any]) -> None:
        weights = index.get("weight_map")
        if not isinstance(weights, dict):
            raise IntegrityError(f"{INDEX} has no weight_map", hint="get the files again")
        for tensor, shard in sorted(weights.items()):
            if self._where.get(tensor) != shard:
                raise IntegrityError(
                    f"according to {INDEX}, {tensor} is in {shard}, but it is not",
                    hint="get the files again",
                )
        extra = sorted(set(self._where) - set(weights))
        if extra:
            raise IntegrityError(f"{INDEX} does not list {extra[0]}", hint="get the files again")


def read_json(path: Path, name: str) -> dict[str, Any]:
    """Read a JSON object from a file of the checkpoint.

    Raises:
        IntegrityError: the file is not a JSON object.
    """
    try:
        value = json.loads(path.read_bytes())
        # JSON accepts half a surrogate pair, which is not valid Unicode: the encoding fails.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{name} is not JSON: {error}", hint="get the files again") from error
    if not isinstance(value, dict):
        raise IntegrityError(f"{name} is not a JSON object", hint="get the files again")
    return value


def _is_weights(name: str) -> bool:
    return name.lower().endswith(".safetensors")


def _open(name: str, path: Path) -> Any:
    try:
        return safe_open(path, framework="np")
    except SafetensorError as error:
        raise IntegrityError(f"{name} is damaged: {error}", hint="get the files again") from error
