"""Reads the rotation from `rope_theta`, `rope_scaling` and, as transformers 5 writes it, `rope_parameters`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from appliance.errors import UnsupportedError
from appliance.number import real
from export.architecture.configuration import Configuration
from export.architecture.rotary import Divided, Linear, Llama3, Rotary, Yarn

_SCALING, _PARAMETERS = "rope_scaling", "rope_parameters"
# The greatest factor that a scaling may state.
_MOST_DIVISOR = 1e4
# The largest context that a scaling may state.
_MOST_TOKENS = 1 << 22


@dataclass(frozen=True)
class Rotation:
    """A rotation, and the context for which it is made.

    Attributes:
        rotary: see Rotary.
        context_tokens: longest sequence.
        note: one line for people if the context is not the one that the configuration states; else empty.
    """

    rotary: Rotary
    context_tokens: int
    note: str = ""


def rotation(config: Configuration, head_dim: int, default_theta: float | None = None) -> Rotation:
    """Read the rotation, as transformers computes it.

    Args:
        config: the whole configuration.
        head_dim: elements of a head.
        default_theta: base of the frequencies if the configuration states none; None if it must.

    Raises:
        UnsupportedError: the scaling has an unsupported type, key or value, or two keys disagree.
    """
    stated_tokens = config.positive("max_position_embeddings")
    parameters = _parameters(config)
    theta = _theta(config, parameters, default_theta)
    kind = _type(parameters)
    if kind == "yarn":
        found = _yarn(parameters, theta, stated_tokens)
    elif kind == "linear":
        found = Rotation(Rotary(theta, Linear(parameters.number("factor"))), stated_tokens)
    elif kind == "llama3":
        found = Rotation(Rotary(theta, _llama3(parameters, stated_tokens)), stated_tokens)
    elif kind == "rope_freqs":
        # Not of transformers: the tensor of this name of a GGUF file.
        found = Rotation(Rotary(theta, _divided(parameters, head_dim)), stated_tokens)
    elif kind == "dynamic":
        # Up to this length, the factor has no effect. Beyond it, each further token would change all rotations, those
        # of the keys in the cache too.
        parameters.number("factor")
        note = f"dynamic scaling of the rotation: the context is {stated_tokens} tokens; longer ones are not supported"
        found = Rotation(Rotary(theta), stated_tokens, note)
    elif kind == "default":
        found = Rotation(Rotary(theta), stated_tokens)
    else:
        raise UnsupportedError(
            f"the configuration scales the rotation with the type {kind!r}, which this version does not support",
            hint="supported: yarn, linear, llama3, dynamic",
        )
    parameters.finish()
    return found


def _parameters(config: Configuration) -> Configuration:
    older, newer = config.take(_SCALING, {}), config.take(_PARAMETERS, {})
    if older and newer and older != newer:
        raise UnsupportedError(
            f"the configuration has {_SCALING} and {_PARAMETERS} with different contents",
            hint=f"delete the one that is wrong from config.json; transformers uses {_SCALING}",
        )
    return config.below(_SCALING if older else _PARAMETERS)


def _theta(config: Configuration, parameters: Configuration, default: float | None) -> float:
    outer, inner = config.take("rope_theta"), parameters.take("rope_theta")
    if outer is not None and inner is not None and outer != inner:
        raise UnsupportedError(f"the configuration's rope_theta and the one within {_PARAMETERS} differ")
    return (parameters if inner is not None else config).number("rope_theta", default)


def _type(parameters: Configuration) -> str:
    old, new = parameters.take("type"), parameters.take("rope_type")
    if old is not None and new is not None and old != new:
        raise UnsupportedError("the configuration's type and rope_type of the rotation differ")
    return str(new or old or "default")


def _yarn(parameters: Configuration, theta: float, stated_tokens: int) -> Rotation:
    """The context is factor * original, as in vLLM: publishers of Qwen leave max_position_embeddings as it was."""
    original = parameters.positive("original_max_position_embeddings", stated_tokens)
    factor = parameters.number("factor", stated_tokens / original)
    fast, slow = parameters.number("beta_fast", 32.0), parameters.number("beta_slow", 1.0)
    if fast < slow:
        raise UnsupportedError(f"the configuration's beta_fast {fast:g} is less than beta_slow {slow:g}")
    truncate = parameters.flag("truncate", default=True)
    scaling = Yarn(factor, original, _magnitude(parameters, factor), fast, slow, truncate)
    tokens = int(original * factor)
    if tokens > _MOST_TOKENS:
        raise UnsupportedError(f"YaRN extends the context to {tokens} tokens; the limit is {_MOST_TOKENS}")
    note = f"YaRN extends the context from {original} to {tokens} tokens (factor {factor:g})"
    return Rotation(Rotary(theta, scaling), tokens, note if tokens != stated_tokens else "")


def _magnitude(parameters: Configuration, factor: float) -> float:
    """The factor of cosine and sine: stated, or derived from the scaling factor as the paper recommends."""
    numerator, denominator = parameters.number("mscale", 0.0), parameters.number("mscale_all_dim", 0.0)
    if parameters.take("attention_factor") is not None:
        return parameters.number("attention_factor")
    growth = 0.1 * math.log(factor)
    if numerator and denominator:
        return (numerator * growth + 1) / (denominator * growth + 1)
    return growth + 1


def _llama3(parameters: Configuration, stated_tokens: int) -> Llama3:
    low, high = parameters.number("low_freq_factor"), parameters.number("high_freq_factor")
    if high <= low:
        raise UnsupportedError(f"the configuration's high_freq_factor {high:g} is not above low_freq_factor {low:g}")
    original = parameters.positive("original_max_position_embeddings", stated_tokens)
    return Llama3(parameters.number("factor"), original, low, high)


def _divided(parameters: Configuration, head_dim: int) -> Divided:
    stated = parameters.take("divisors")
    if not isinstance(stated, list) or len(stated) != head_dim // 2:
        raise UnsupportedError(f"the rotation has no list of {head_dim // 2} divisors, one for each pair of elements")
    try:
        return Divided(tuple(real(value, least=1.0, most=_MOST_DIVISOR) for value in stated))
    except ValueError as error:
        raise UnsupportedError(f"a divisor of the rotation's frequencies {error}") from error
