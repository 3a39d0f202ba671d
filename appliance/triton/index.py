"""Reads Triton's index of its model repository."""

from __future__ import annotations

from typing import Any

_UNAVAILABLE = "UNAVAILABLE"
# Triton's reasons for a model that it did not try to load, and for one that was unloaded.
_ORDERED = frozenset({"", "unloaded"})


def unavailable(index: Any) -> dict[str, str]:
    """Triton's reason for each model of a RepositoryIndexResponse that is not loaded and neither loads nor unloads."""
    return {model.name: model.reason for model in index.models if model.state == _UNAVAILABLE}


def failures(index: Any) -> dict[str, str]:
    """Triton's reason for each model that it could not load."""
    return {name: reason for name, reason in unavailable(index).items() if reason not in _ORDERED}
