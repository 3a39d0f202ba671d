"""What a manifest, the engine's settings and a request's sampling are in Edge-LLM 0.11's words. It calls nothing of it.

What Edge-LLM cannot honour is refused by name: its own server sets min_p and repetition_penalty back without a word.
Names are those of its native module `_edgellm_runtime`; tests hold them against what was recorded of the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.artefact import Manifest
from appliance.engine.budget import context_tokens
from appliance.errors import RequestError, UnsupportedError
from appliance.inference.config import EngineConfig
from appliance.inference.sampling import SamplingParams
from appliance.inference.structured_output import PARAM, Form, StructuredOutput

# Our architectures that its builder knows, by its names for them.
MODEL_TYPES = ("qwen2", "qwen3")
MAX_SEED = (1 << 64) - 1
# Sampling parameter -> class and attribute that carries it.
CARRIED = {
    "max_tokens": "LLMGenerationRequest.max_generate_length",
    "temperature": "LLMGenerationRequest.temperature",
    "top_k": "LLMGenerationRequest.top_k",
    "top_p": "LLMGenerationRequest.top_p",
    "seed": "Request.sampling_seed",
    "stop": "Request.stop_strings",
    "logit_bias": "Request.logit_bias",
    PARAM: "Request.guided_decoding",
}
# Sampling parameter -> why any value but the neutral one is refused.
REFUSED = {
    "min_p": "its sampler has none",
    "repetition_penalty": "its sampler has none",
    "presence_penalty": "its sampler has none",
    "frequency_penalty": "its sampler has none",
    "stop_token_ids": "it ends at the checkpoint's own end tokens and at strings alone",
    "ignore_eos": "it always ends at the checkpoint's own end tokens",
    "min_tokens": "it always ends at the checkpoint's own end tokens",
    "logprobs": "it tells those of the likeliest tokens, and nothing of a chosen one beyond them",
}
_GUIDES = {Form.JSON: "JSON_SCHEMA", Form.REGEX: "REGEX", Form.CHOICE: "CHOICE"}


@dataclass(frozen=True)
class EdgeRequest:
    """One request's attributes, by the native object that has them.

    Attributes:
        generation: of LLMGenerationRequest.
        sequence: of the one Request in it.
        guide: member of GuideType and text, for GuidedDecodingParams; None for any text.
    """

    generation: Mapping[str, Any]
    sequence: Mapping[str, Any]
    guide: tuple[str, str] | None


def request(sampling: SamplingParams, max_tokens: int) -> EdgeRequest:
    """Translate a request's sampling.

    Args:
        sampling: see SamplingParams.
        max_tokens: completion tokens at most, after the context was looked at.

    Raises:
        RequestError: it asks for something that cannot be honoured; `param` names it.
    """
    neutral = SamplingParams()
    for name, reason in REFUSED.items():
        if getattr(sampling, name) != getattr(neutral, name):
            raise _refusal(name, reason)
    if sampling.seed is not None and not 0 <= sampling.seed <= MAX_SEED:
        raise _refusal("seed", f"it takes seeds from 0 to {MAX_SEED}")
    generation = {
        "max_generate_length": max_tokens,
        "temperature": sampling.temperature,
        # As its own server asks for the likeliest token.
        "top_k": 1 if sampling.is_greedy else sampling.top_k,
        "top_p": 1.0 if sampling.is_greedy else sampling.top_p,
        # The prompt has been through the chat template.
        "apply_chat_template": False,
        "add_generation_prompt": False,
    }
    sequence = {
        "sampling_seed": sampling.seed,
        "stop_strings": list(sampling.stop),
        "logit_bias": dict(sampling.logit_bias),
    }
    return EdgeRequest(generation, sequence, _guide(sampling.structured_outputs))


def engine_arguments(manifest: Manifest, config: EngineConfig, bundle: Path, checkpoint: Path) -> dict[str, Any]:
    """The arguments of RequestEngine, its engine that batches in flight.

    Its cache of prefixes stays off, as it is without an argument: it knows no principals.

    Args:
        manifest: of the model.
        config: of our engine.
        bundle: the folder that `build_command` fills.
        checkpoint: the folder of the published checkpoint, from which the weights are read.

    Raises:
        UnsupportedError: Edge-LLM does not know the architecture.
    """
    _check_architecture(manifest)
    return {
        "engine_dir": str(bundle),
        "checkpoint_dir": str(checkpoint),
        "max_batch_size": config.slots,
        "max_pending_requests": config.max_queue,
    }


def build_command(manifest: Manifest, config: EngineConfig, bundle: Path, checkpoint: Path) -> list[str]:
    """The command that builds a bundle for the model, of the same context and slots as our engine has.

    It starts at the published checkpoint, not at our artefact: Edge-LLM makes its own graph.

    Raises:
        UnsupportedError: Edge-LLM does not know the architecture.
        UsageError: the configuration does not fit the model.
    """
    _check_architecture(manifest)
    context = str(context_tokens(manifest, config))
    return [
        "tensorrt-edgellm-build",
        *("--model-dir", str(checkpoint)),
        *("--engine-dir", str(bundle)),
        *("--max-input-len", context),
        *("--max-kv-cache-capacity", context),
        *("--max-batch-size", str(config.slots)),
    ]


def reference() -> str:
    """The table of sampling parameters as Markdown; `docs/jetson.md` holds it."""
    rows = [f"| `{name}` | `{attribute}` |" for name, attribute in CARRIED.items()]
    rows += [f"| `{name}` | refused: {reason} |" for name, reason in REFUSED.items()]
    return "\n".join(["| sampling parameter | in Edge-LLM 0.11 |", "|---|---|", *rows]) + "\n"


def _guide(wanted: StructuredOutput | None) -> tuple[str, str] | None:
    if wanted is None:
        return None
    if wanted.form not in _GUIDES:
        raise _refusal(PARAM, f"it reads grammars in another language than {wanted.form.value} is in")
    return _GUIDES[wanted.form], wanted.text


def _check_architecture(manifest: Manifest) -> None:
    if manifest.architecture not in MODEL_TYPES:
        raise UnsupportedError(
            f"TensorRT Edge-LLM is not used for the architecture {manifest.architecture!r} of {manifest.model}",
            hint=f"it is for {', '.join(MODEL_TYPES)}",
        )


def _refusal(name: str, reason: str) -> RequestError:
    return RequestError(
        f"{name} cannot be honoured by TensorRT Edge-LLM: {reason}",
        hint="leave it out, or ask a model that our own engine runs",
        param=name,
    )
