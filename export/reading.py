"""Reads a checkpoint's description and checks it against the tensors: no size is used that only the config states."""

from __future__ import annotations

from appliance.errors import UnsupportedError
from export.architecture import Architecture, describe
from export.checkpoint import Checkpoint


def architecture_of(checkpoint: Checkpoint) -> Architecture:
    """Describe a checkpoint.

    Every size in the description is then a size of tensors in the files, so the files' own size limits it.

    Raises:
        UnsupportedError: see `describe`; or a tensor is missing, or its shape differs from the configuration.
    """
    architecture = describe(checkpoint.config)
    for name, shape in architecture.tensors():
        found = checkpoint.shape(name)
        if found != shape:
            raise UnsupportedError(
                f"the tensor {name} has the shape {_shown(found)}, but the configuration requires {_shown(shape)}",
                hint="the configuration belongs to another model, or was changed; pull the model again",
            )
    return architecture


def _shown(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "of a single number"
