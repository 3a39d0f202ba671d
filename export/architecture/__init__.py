"""Describes what a model computes, as frozen dataclasses that all lowerings read, independent of any graph."""

from collections.abc import Callable, Mapping
from typing import Any

from appliance.errors import UnsupportedError
from export.architecture import gemma, granite, llama, qwen
from export.architecture.description import Architecture, Attention, FeedForward, Layer

__all__ = ["Architecture", "Attention", "FeedForward", "Layer", "describe"]

# model_type of a Hugging Face configuration -> the reader of that configuration.
READERS: Mapping[str, Callable[[Mapping[str, Any]], Architecture]] = {
    "gemma3_text": gemma.gemma3,
    "granite": granite.granite,
    "granitemoehybrid": granite.granite4,
    "llama": llama.llama,
    "mistral": llama.mistral,
    "qwen2": qwen.qwen2,
    "qwen3": qwen.qwen3,
}


def describe(config: Mapping[str, Any]) -> Architecture:
    """Convert a checkpoint's configuration to a description.

    Args:
        config: the keys of a Hugging Face config.json.

    Raises:
        UnsupportedError: an unknown architecture, an unknown key, or a key with a value that the lowerings do not
            support.
    """
    model_type = config.get("model_type")
    reader = READERS.get(str(model_type))
    if reader is None:
        raise UnsupportedError(
            f"the architecture {model_type!r} is not supported", hint=f"supported: {', '.join(sorted(READERS))}"
        )
    return reader(config)
