"""The candidates: weight formats from which the presets were chosen. `python -m bench presets` measures all of them."""

from __future__ import annotations

from dataclasses import replace

from export.presets import BALANCED, COMPACT, FINE, PRECISE, Exemption, Preset, Weights

# A candidate is measured whatever its quality.
_ANY_KL = 100.0
_BYTES = Weights(bits=8, block=128)
_NIBBLES = Weights(bits=4, block=128, symmetric=False)
_FINE_NIBBLES = replace(_NIBBLES, block=32)
_FEED_FORWARD = ".mlp."
_ATTENTION = ".self_attn."


def _every(name: str, summary: str, weights: Weights) -> Preset:
    """The same format for the layers and the head."""
    return replace(_base(name, summary), body=weights, head=weights)


def _some(name: str, summary: str, part: str, begin: float = 0.0, end: float = 1.0) -> Preset:
    """8 bits, except 4 bits for some matrices of some layers."""
    return replace(_base(name, summary), exemptions=(Exemption(part, _NIBBLES, begin, end),))


def _base(name: str, summary: str) -> Preset:
    return replace(PRECISE, name=name, summary=summary, max_mean_kl=_ANY_KL, body=_BYTES, head=_BYTES)


_CHOSEN = tuple(replace(preset, max_mean_kl=_ANY_KL) for preset in (BALANCED, PRECISE, FINE, COMPACT))
CANDIDATES: tuple[Preset, ...] = (
    *_CHOSEN,
    _every("int8-128", "8 bits, blocks of 128", _BYTES),
    _every("int8-float", "8 bits, blocks of 128, activations in floats", replace(_BYTES, accuracy_level=0)),
    _every("int4-32", "4 bits, asymmetric, blocks of 32", _FINE_NIBBLES),
    _every("int4-32-symmetric", "4 bits, symmetric, blocks of 32", replace(_FINE_NIBBLES, symmetric=True)),
    _every("int4-128", "4 bits, asymmetric, blocks of 128", _NIBBLES),
    replace(_every("int4-128-int8-head", "like int4-128, head in 8 bits", _NIBBLES), head=_BYTES),
    replace(_base("int4-head", "8 bits, head in 4 bits and not rescored"), head=_NIBBLES),
    _some("attention", "8 bits, attention in 4 bits", _ATTENTION),
    _some("first-third", "8 bits, feed-forward of the first third in 4 bits", _FEED_FORWARD, 0, 1 / 3),
    _some("middle-third", "8 bits, feed-forward of the middle third in 4 bits", _FEED_FORWARD, 1 / 3, 2 / 3),
    _some("last-third", "8 bits, feed-forward of the last third in 4 bits", _FEED_FORWARD, 2 / 3, 1),
)
