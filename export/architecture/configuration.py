"""Strict reading of a Hugging Face configuration: every key is used or known to be harmless, else it is an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from appliance.errors import UnsupportedError
from appliance.number import real, whole

# Keys that describe training, storage or generation defaults and change nothing in the graph.
HARMLESS = frozenset(
    {
        "_name_or_path",
        "architectures",
        "attention_dropout",
        "bos_token_id",
        "dtype",
        "eos_token_id",
        "initializer_range",
        "max_window_layers",
        "model_type",
        "pad_token_id",
        "sliding_window",
        "torch_dtype",
        "transformers_version",
        "use_cache",
    }
)
# The maximum of each value, far above every published model of the supported architectures.
_MOST: Mapping[str, int] = {
    "head_dim": 1 << 10,
    "hidden_size": 1 << 17,
    "intermediate_size": 1 << 20,
    "max_position_embeddings": 1 << 22,
    "num_attention_heads": 1 << 12,
    "num_hidden_layers": 1 << 10,
    "num_key_value_heads": 1 << 12,
    "vocab_size": 1 << 22,
}
_RANGES: Mapping[str, tuple[float, float]] = {"rms_norm_eps": (1e-30, 1.0), "rope_theta": (1.0, 1e12)}


class Configuration:
    """Reads keys and records which were read; `finish` raises an error for unread keys."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._read: set[str] = set()

    def positive(self, key: str, default: int | None = None) -> int:
        """Return a positive integer within the bounds of the supported models.

        Raises:
            UnsupportedError: the key is missing and has no default, or is not such a number.
        """
        try:
            return whole(self._take(key, default), least=1, most=_MOST[key])
        except ValueError as error:
            raise UnsupportedError(f"the configuration's {key} {error}") from error

    def number(self, key: str) -> float:
        """Return a positive number.

        Raises:
            UnsupportedError: the key is missing, or is not a number within its bounds.
        """
        least, most = _RANGES[key]
        try:
            return real(self._take(key, None), least=least, most=most)
        except ValueError as error:
            raise UnsupportedError(f"the configuration's {key} {error}") from error

    def flag(self, key: str, default: bool) -> bool:
        """Return a boolean.

        Raises:
            UnsupportedError: the value is not a boolean.
        """
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise UnsupportedError(f"the configuration's {key} is {value!r}, expected true or false")
        return value

    def require(self, key: str, *allowed: Any) -> None:
        """Check that `key` has one of the values that every lowering supports; it may be missing.

        Raises:
            UnsupportedError: the key has another value.
        """
        value = self._take(key, allowed[0])
        if value not in allowed:
            raise UnsupportedError(
                f"the configuration's {key} is {value!r}, which this version does not support",
                hint=f"supported: {', '.join(repr(value) for value in allowed)}",
            )

    def rope_theta(self) -> float:
        """Return the rotary base from `rope_theta` or, as transformers 5 writes it, from `rope_parameters`.

        Raises:
            UnsupportedError: the base is scaled (YaRN and others), or the two keys disagree.
        """
        parameters = self._take("rope_parameters", None) or {}
        if not isinstance(parameters, Mapping):
            raise UnsupportedError("the configuration's rope_parameters are not an object")
        unknown = set(parameters) - {"rope_theta", "rope_type"}
        if unknown or parameters.get("rope_type", "default") != "default":
            raise UnsupportedError(
                f"the configuration's rope_parameters {dict(parameters)!r} require a scaled rotation, "
                "which this version does not support"
            )
        self.require("rope_scaling", None)
        theta = self._config.get("rope_theta", parameters.get("rope_theta"))
        if "rope_theta" in parameters and theta != parameters["rope_theta"]:
            raise UnsupportedError("the configuration's rope_theta and rope_parameters differ")
        self._read.add("rope_theta")
        return Configuration({"rope_theta": theta}).number("rope_theta")

    def finish(self) -> None:
        """Check that every key was read or is known to be harmless.

        Raises:
            UnsupportedError: there are other keys; the message names them.
        """
        unknown = sorted(set(self._config) - self._read - HARMLESS)
        if unknown:
            raise UnsupportedError(
                f"the configuration has unknown keys: {', '.join(unknown)}",
                hint="an unknown key could change what the model computes, so the export stops",
            )

    def _take(self, key: str, default: Any) -> Any:
        self._read.add(key)
        value = self._config.get(key)
        return default if value is None else value
