"""Strict reading of a Hugging Face configuration: every key is used or known to be harmless, else it is an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from appliance.errors import UnsupportedError
from appliance.number import real, shown, whole
from export.architecture.harmless import NEUTRAL, is_ignored

# The maximum of each value, far above every published model of the supported architectures.
_MOST: Mapping[str, int] = {
    "head_dim": 1 << 10,
    "hidden_size": 1 << 17,
    "intermediate_size": 1 << 20,
    "max_position_embeddings": 1 << 22,
    "max_window_layers": 1 << 20,
    "num_attention_heads": 1 << 12,
    "num_hidden_layers": 1 << 10,
    "num_key_value_heads": 1 << 12,
    "original_max_position_embeddings": 1 << 22,
    "pad_token_id": 1 << 22,
    "shared_intermediate_size": 1 << 20,
    "sliding_window": 1 << 30,
    "sliding_window_pattern": 1 << 10,
    "type_vocab_size": 1 << 10,
    "vocab_size": 1 << 22,
}
_RANGES: Mapping[str, tuple[float, float]] = {
    "attention_factor": (1e-3, 1e3),
    "attention_multiplier": (1e-6, 1e3),
    "beta_fast": (1e-3, 1e6),
    "beta_slow": (1e-3, 1e6),
    "embedding_multiplier": (1e-6, 1e6),
    "factor": (1.0, 1e4),
    "high_freq_factor": (1e-3, 1e6),
    "layer_norm_eps": (1e-30, 1.0),
    "logits_scaling": (1e-6, 1e6),
    "low_freq_factor": (1e-3, 1e6),
    "mscale": (0.0, 1e3),
    "mscale_all_dim": (0.0, 1e3),
    "residual_multiplier": (1e-6, 1e6),
    "query_pre_attn_scalar": (1e-3, 1e6),
    "rms_norm_eps": (1e-30, 1.0),
    "rope_local_base_freq": (1.0 + 1e-6, 1e12),
    "rope_theta": (1.0 + 1e-6, 1e12),
}


class Configuration:
    """Reads keys and records which were read; `finish` raises an error for unread keys.

    A key with the value null is like an absent key, as in transformers.
    """

    def __init__(self, config: Mapping[str, Any], within: str = "") -> None:
        """Read `config`; `within` precedes the keys in messages."""
        self._config = config
        self._within = within
        self._read: set[str] = set()

    def positive(self, key: str, default: int | None = None, *, least: int = 1) -> int:
        """Return an integer of at least `least`, within the bounds of the supported models.

        Raises:
            UnsupportedError: the key is missing and has no default, or is not such a number.
        """
        try:
            return whole(self.take(key, default), least=least, most=_MOST[key])
        except ValueError as error:
            raise UnsupportedError(f"{self._named(key)} {error}") from error

    def number(self, key: str, default: float | None = None) -> float:
        """Return a number.

        Raises:
            UnsupportedError: the key is missing and has no default, or is not a number within its bounds.
        """
        least, most = _RANGES[key]
        try:
            return real(self.take(key, default), least=least, most=most)
        except ValueError as error:
            raise UnsupportedError(f"{self._named(key)} {error}") from error

    def flag(self, key: str, default: bool) -> bool:
        """Return a boolean.

        Raises:
            UnsupportedError: the value is not a boolean.
        """
        value = self.take(key, default)
        if not isinstance(value, bool):
            raise UnsupportedError(f"{self._named(key)} is {shown(value)}, expected true or false")
        return value

    def require(self, key: str, *allowed: Any) -> None:
        """Check that `key` has one of the values that every lowering supports; it may be missing.

        Raises:
            UnsupportedError: the key has another value.
        """
        value = self.take(key, allowed[0])
        if value not in allowed:
            raise UnsupportedError(
                f"{self._named(key)} is {shown(value)}, which this version does not support",
                hint=f"supported: {', '.join(repr(value) for value in allowed if value is not None) or 'no value'}",
            )

    def has(self, key: str) -> bool:
        """Whether the key is there, even with the value null."""
        return key in self._config

    def take(self, key: str, default: Any = None) -> Any:
        """Return the unchecked value of a key; the default if it is missing or null."""
        self._read.add(key)
        value = self._config.get(key)
        return default if value is None else value

    def below(self, key: str) -> Configuration:
        """Return a reader of the object below `key`, which is empty if the key is missing.

        Raises:
            UnsupportedError: the value is not an object.
        """
        value = self.take(key, {})
        if not isinstance(value, Mapping):
            raise UnsupportedError(f"{self._named(key)} is {shown(value)}, expected an object")
        return Configuration(value, f"{self._within}{key}.")

    def finish(self) -> None:
        """Check that every key was read, is known to be harmless, or has a value without effect.

        Raises:
            UnsupportedError: there are other keys; the message names them.
        """
        unknown = []
        for key, value in sorted(self._config.items()):
            if key in self._read or is_ignored(key, value):
                continue
            if key not in NEUTRAL:
                unknown.append(f"{self._within}{key}")
                continue
            self.require(key, *NEUTRAL[key])
        if unknown:
            raise UnsupportedError(
                f"the configuration has unknown keys: {', '.join(unknown)}",
                hint="an unknown key could change what the model computes; if you are sure that a key does not "
                "(a note of a tool, for example), delete the key from config.json",
            )

    def _named(self, key: str) -> str:
        return f"the configuration's {self._within}{key}"
