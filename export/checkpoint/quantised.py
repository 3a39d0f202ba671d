"""Recognises checkpoints in Hugging Face's layout that are quantised already: AWQ, GPTQ, FP8, MLX and others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from appliance.errors import UnsupportedError
from appliance.number import shown

HINT = "use the model's version in bf16 or fp16, or a GGUF file; the export quantises it"
# Keys of config.json: of transformers, of older files of compressed-tensors, of MLX.
_KEYS = ("quantization_config", "compression_config", "quantization")
_METHODS = ("quant_method", "quant_type", "bits")
_SUFFIXES = (
    ".SCB",
    ".absmax",
    ".g_idx",
    ".qweight",
    ".qzeros",
    ".weight_packed",
    ".weight_scale",
    ".weight_scale_inv",
)


def check_not_quantised(config: Mapping[str, Any]) -> None:
    """Check that the configuration states no quantisation.

    Raises:
        UnsupportedError: it does; the message names the method.
    """
    for key in _KEYS:
        settings = config.get(key)
        if not settings:
            continue
        raise UnsupportedError(f"the checkpoint is quantised{_method(settings)}: config.json has {key}", hint=HINT)


def is_quantised(tensor: str) -> bool:
    """Whether only quantised checkpoints have a tensor of this name."""
    return tensor.endswith(_SUFFIXES)


def _method(settings: Any) -> str:
    stated = settings if isinstance(settings, Mapping) else {}
    return next((f" ({name} {shown(stated[name])})" for name in _METHODS if name in stated), "")
