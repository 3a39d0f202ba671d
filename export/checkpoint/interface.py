"""What every form of a checkpoint offers: its configuration and its tensors under Hugging Face's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


class Checkpoint(Protocol):
    """Weights as published, read one tensor at a time."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The keys of Hugging Face's config.json, as they are in the file or as made from a GGUF file's metadata."""
        ...

    @property
    def files(self) -> Mapping[str, Path]:
        """Published name -> path of the files beside the weights (tokenizer.json and others); empty for GGUF."""
        ...

    @property
    def metadata(self) -> Mapping[str, Any]:
        """A GGUF file's own key-value pairs; empty for safetensors."""
        ...

    def names(self) -> Sequence[str]:
        """Hugging Face's names of all tensors, sorted."""
        ...

    def shape(self, name: str) -> tuple[int, ...]:
        """Elements a dimension; a matrix is [out, in].

        Raises:
            UnsupportedError: the checkpoint has no such tensor. (So do `source_type`, `read` and `raw`.)
        """
        ...

    def source_type(self, name: str) -> str:
        """How the file holds the tensor: "F32", "BF16", "Q5_0", …."""
        ...

    def read(self, name: str) -> npt.NDArray[np.float32]:
        """The tensor as float32, C-contiguous. Only this tensor is read; nothing keeps it after the caller drops it."""
        ...

    def raw(self, name: str) -> npt.NDArray[np.uint8]:
        """The quantised blocks as they are in a GGUF file, uint8 [rows, bytes a row], a read-only view of the file.

        Raises:
            UnsupportedError: the tensor is not held in quantised blocks.
        """
        ...
