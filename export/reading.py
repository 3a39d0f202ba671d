"""A checkpoint's description, proved by its tensors: no size that only the configuration states is computed with."""

from __future__ import annotations

from appliance.errors import UnsupportedError
from export.architecture import Architecture, describe
from export.checkpoint import Checkpoint


def architecture_of(checkpoint: Checkpoint) -> Architecture:
    """Describe a checkpoint.

    Every size of the description then is one of tensors that the files hold, so it is bounded by the files' own bytes.

    Raises:
        UnsupportedError: see `describe`; or a tensor is absent, or its shape is not what the configuration says.
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
