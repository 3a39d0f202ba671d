"""Checks whether the installed exporter can read a model. The caller reports a fault as a warning, not as an error."""

from __future__ import annotations

from importlib.metadata import entry_points

from appliance.errors import ApplianceError
from appliance.store import StoredModel

# Entry points of the exporter: (model's files by name) -> None; raises ApplianceError if the model cannot be exported.
GROUP = "appliance.checks"


def export_fault(stored: StoredModel) -> ApplianceError | None:
    """The error that would prevent the export; None if there is none, or if no exporter is installed."""
    for point in entry_points(group=GROUP):
        try:
            check = point.load()
        except ModuleNotFoundError:
            # The exporter's libraries are not installed: this box gets its artefacts from elsewhere.
            continue
        try:
            check(stored.files)
        except ApplianceError as error:
            return error
    return None
