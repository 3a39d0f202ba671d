"""Asks the installed exporter whether it could read a model. A fault is told, not a reason to refuse."""

from __future__ import annotations

from importlib.metadata import entry_points

from appliance.errors import ApplianceError
from appliance.store import StoredModel

# A function of the distribution that exports: (model's files by name) -> None, or what it refuses.
GROUP = "appliance.checks"


def export_fault(stored: StoredModel) -> ApplianceError | None:
    """What would keep the model from being exported; None if nothing, or if nothing here exports."""
    for point in entry_points(group=GROUP):
        try:
            check = point.load()
        except ModuleNotFoundError:
            # The libraries of the exporter are not installed: this box takes artefacts from elsewhere.
            continue
        try:
            check(stored.files)
        except ApplianceError as error:
            return error
    return None
