"""The served models in the formats of Ollama's API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from appliance.gateway.chat.embedding_model import EmbeddingModel
from appliance.gateway.chat.infilling import can_infill
from appliance.gateway.chat.served_model import ServedModel
from appliance.gateway.chat.served_models import AnyModel
from appliance.gateway.ollama.timestamp import timestamp

# The width of the names in the text of parameters.
_WIDTH = 30


def listed(model: AnyModel, name: str, modified: float) -> dict[str, Any]:
    """One model of `/api/tags`, under its name or an alias; `modified` is in seconds since 1970."""
    return {
        "name": name,
        "model": name,
        "modified_at": timestamp(modified),
        "size": sum(entry.size_bytes for entry in model.manifest.files),
        "digest": model.sha256,
        "details": details(model),
        "capabilities": _capabilities(model),
    }


def described(model: AnyModel, modified: float) -> dict[str, Any]:
    """The answer of `/api/show`."""
    template = model.template if isinstance(model, ServedModel) else None
    return {
        "modelfile": f"FROM {model.name}\n",
        "parameters": "\n".join(f"{name:<{_WIDTH}} {value}" for name, value in _parameters(model)),
        "template": template.source if template is not None else "",
        "license": model.manifest.license,
        "details": details(model),
        "model_info": _sizes(model),
        "capabilities": _capabilities(model),
        "modified_at": timestamp(modified),
    }


def details(model: AnyModel) -> dict[str, Any]:
    """The details that several answers have."""
    family = model.manifest.architecture
    return {
        "parent_model": "",
        "format": "onnx",
        "family": family,
        "families": [family],
        # The manifest does not contain it.
        "parameter_size": "",
        "quantization_level": model.manifest.preset,
    }


def context_tokens(model: AnyModel) -> int:
    """The longest prompt plus answer, or text."""
    return model.manifest.shape.context_tokens if isinstance(model, ServedModel) else model.task.max_tokens


def _capabilities(model: AnyModel) -> list[str]:
    if not isinstance(model, ServedModel):
        return ["embedding"] if isinstance(model, EmbeddingModel) else []
    has = {
        "tools": bool(model.dialect.tools) and model.template is not None,
        "thinking": model.dialect.thinks,
        "insert": can_infill(model),
    }
    return ["completion", *(name for name, is_there in has.items() if is_there)]


def _parameters(model: AnyModel) -> Sequence[tuple[str, float]]:
    """The publisher's defaults."""
    if not isinstance(model, ServedModel):
        return [("num_ctx", context_tokens(model))]
    defaults = model.manifest.generation
    return [
        ("num_ctx", context_tokens(model)),
        ("repeat_penalty", defaults.repetition_penalty),
        ("temperature", defaults.temperature),
        ("top_k", defaults.top_k),
        ("top_p", defaults.top_p),
    ]


def _sizes(model: AnyModel) -> dict[str, Any]:
    """The sizes by the names of GGUF files, which clients look for."""
    family = model.manifest.architecture
    found = {"general.architecture": family, f"{family}.context_length": context_tokens(model)}
    if isinstance(model, EmbeddingModel):
        return {**found, f"{family}.embedding_length": model.task.dimensions}
    shape = model.manifest.shape
    return {
        **found,
        f"{family}.block_count": shape.layers,
        f"{family}.attention.head_count_kv": shape.kv_heads,
        f"{family}.attention.key_length": shape.head_dim,
        f"{family}.vocab_size": shape.tokens,
    }
