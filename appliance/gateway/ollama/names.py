"""Names of models in Ollama's API."""

from __future__ import annotations

from appliance.gateway.chat.served_models import ServedModels

_TAG = ":latest"


def known_name(models: ServedModels, name: str) -> str:
    """Return the box's name for a client's name: Ollama's clients add a tag to names that have none."""
    return name if models.label(name) else name.removesuffix(_TAG)
