"""Published weights: one interface to GGUF and safetensors files. It opens no other format and runs no code."""

from collections.abc import Mapping
from pathlib import Path

from appliance.errors import UnsafeFormatError, UnsupportedError
from export.checkpoint.gguf_checkpoint import GgufCheckpoint
from export.checkpoint.interface import Checkpoint
from export.checkpoint.safetensors_checkpoint import SafetensorsCheckpoint

__all__ = ["Checkpoint", "GgufCheckpoint", "SafetensorsCheckpoint", "open_checkpoint"]

# Formats that are, or may contain, Python pickles: loading a pickle can run any code.
_PICKLES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")


def open_checkpoint(files: Mapping[str, Path]) -> Checkpoint:
    """Open a checkpoint from its files.

    Args:
        files: published name -> path; the path need not end with the name.

    Raises:
        UnsafeFormatError: the weights are in a format that can run code.
        UnsupportedError: the weights are neither one GGUF file nor safetensors, or the architecture is unknown.
        IntegrityError: a file is damaged.
    """
    ggufs = sorted(name for name in files if name.lower().endswith(".gguf"))
    tensors = sorted(name for name in files if name.lower().endswith(".safetensors"))
    if ggufs and tensors:
        raise UnsupportedError("the model has both GGUF and safetensors files", hint="keep only one of the two formats")
    if len(ggufs) > 1:
        raise UnsupportedError(f"the model has several GGUF files: {', '.join(ggufs)}", hint="keep one of them")
    if ggufs:
        return GgufCheckpoint(files[ggufs[0]])
    if tensors:
        return SafetensorsCheckpoint(files)
    pickles = sorted(name for name in files if name.lower().endswith(_PICKLES))
    if pickles:
        raise UnsafeFormatError(
            f"{pickles[0]} can be a pickle file, which can run any code when it is opened",
            hint="use the model's safetensors or GGUF files",
        )
    raise UnsupportedError("the model has no weights", hint="expected *.safetensors or one *.gguf file")
