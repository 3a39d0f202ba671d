"""Reads the sliding windows of a model's attention.

The graphs of Qwen and Mistral have none: the context is bounded, so that none is needed. A layer with a window of N
tokens computes the same as a layer without one as long as no sequence is longer than N. Gemma's graphs have windows:
they are much shorter than its context.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.errors import UnsupportedError
from appliance.number import shown
from export.architecture.configuration import Configuration

_FULL, _SLIDING = "full_attention", "sliding_attention"
# The values of transformers for keys that are missing.
_DEFAULT_WINDOW = 4096
_DEFAULT_FULL_LAYERS = 28
_DEFAULT_PATTERN = 6


@dataclass(frozen=True)
class Window:
    """The tokens that a layer attends to.

    Attributes:
        tokens: of the sliding layers, the token itself included; None if no layer slides.
    """

    tokens: int | None = None

    def bounded(self, context_tokens: int) -> int:
        """The longest context in which the window has no effect, at most `context_tokens`."""
        return context_tokens if self.tokens is None else min(context_tokens, self.tokens)

    def note(self, context_tokens: int) -> str:
        """One line for people if the window shortens this context; else empty."""
        if self.bounded(context_tokens) == context_tokens:
            return ""
        return (
            f"the model has sliding windows of {self.tokens} tokens: the context is {self.tokens} tokens instead of "
            f"{context_tokens}, so that the windows have no effect"
        )


def qwen_window(config: Configuration, layers: int) -> Window:
    """Read the window, as transformers does for Qwen2 and Qwen3.

    Raises:
        UnsupportedError: a key has a wrong value, or two keys disagree.
    """
    uses = config.flag("use_sliding_window", default=False)
    tokens, full_layers = config.take("sliding_window"), config.take("max_window_layers")
    kinds = _kinds(config, layers)
    if not uses or (tokens is None and config.has("sliding_window")):
        if kinds is not None and _SLIDING in kinds:
            raise UnsupportedError(
                f"the configuration's layer_types contain {_SLIDING!r}, but it does not use a sliding window",
                hint="correct use_sliding_window and sliding_window, or layer_types, in config.json",
            )
        return Window()
    found = Window(config.positive("sliding_window", _DEFAULT_WINDOW))
    slides = _SLIDING in kinds if kinds is not None else _first_sliding(config, full_layers) < layers
    return found if slides else Window()


def mistral_window(config: Configuration, _layers: int) -> Window:
    """Read the window, as transformers does for Mistral: all layers have it, unless its length is null.

    Raises:
        UnsupportedError: the length is not a number of tokens.
    """
    if config.take("sliding_window") is None and config.has("sliding_window"):
        return Window()
    return Window(config.positive("sliding_window", _DEFAULT_WINDOW))


def gemma_window(config: Configuration, layers: int) -> list[int | None]:
    """Read the window of each layer, as transformers does for Gemma 3: every sixth layer has none, unless it is stated.

    Raises:
        UnsupportedError: a key has a wrong value.
    """
    kinds = _kinds(config, layers)
    pattern = config.positive("sliding_window_pattern", _DEFAULT_PATTERN)
    # transformers notes it so beside the kinds that follow from it.
    config.take("_sliding_window_pattern")
    if kinds is None:
        kinds = [_FULL if (index + 1) % pattern == 0 else _SLIDING for index in range(layers)]
    tokens = config.positive("sliding_window", _DEFAULT_WINDOW)
    return [tokens if kind == _SLIDING else None for kind in kinds]


def _kinds(config: Configuration, layers: int) -> list[str] | None:
    """The kind of each layer; None if the configuration does not state them."""
    kinds = config.take("layer_types")
    if kinds is None:
        return None
    if isinstance(kinds, list) and len(kinds) == layers and all(kind in (_FULL, _SLIDING) for kind in kinds):
        return kinds
    raise UnsupportedError(
        f"the configuration's layer_types are {shown(kinds)}, expected {layers} of {_FULL!r} or {_SLIDING!r}"
    )


def _first_sliding(config: Configuration, stated: object) -> int:
    return _DEFAULT_FULL_LAYERS if stated is None else config.positive("max_window_layers", least=0)
