"""The interface of all checkpoint formats: the configuration, and the tensors by Hugging Face's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


class Checkpoint(Protocol):
    """Published weights, read one tensor at a time."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The keys of Hugging Face's config.json, from the file or created from a GGUF file's metadata."""
        ...

    @property
    def files(self) -> Mapping[str, Path]:
        """Published name -> path of the files beside the weights (tokenizer.json and others); empty for GGUF."""
        ...

    @property
    def metadata(self) -> Mapping[str, Any]:
        """A GGUF file's key-value pairs; empty for safetensors."""
        ...

    def names(self) -> Sequence[str]:
        """Hugging Face's names of all tensors, sorted."""
        ...

    def shape(self, name: str) -> tuple[int, ...]:
        """The tensor's shape; a matrix is [out, in].

        Raises:
            UnsupportedError: the checkpoint has no such tensor. (So do `source_type`, `read` and `raw`.)
        """
        ...

    def source_type(self, name: str) -> str:
        """The element type in the file: "F32", "BF16", "Q5_0", …."""
        ...

    def read(self, name: str) -> npt.NDArray[np.float32]:
        """The tensor as float32, C-contiguous. Only this tensor is read, and no copy is cached."""
        ...

    def raw(self, name: str) -> npt.NDArray[np.uint8]:
        """The quantised blocks of a GGUF file, uint8 [rows, bytes per row], read-only.

        Raises:
            UnsupportedError: the tensor is not stored in quantised blocks.
        """
        ...
