"""Asks the installed exporter whether it can read a model."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path

from appliance.catalog.entry import Conversation
from appliance.errors import ApplianceError
from appliance.sources import Describe, Described
from appliance.store import StoredModel

# Entry points of the exporter, each a `Describe`.
GROUP = "appliance.checks"


def describe(files: Mapping[str, Path], conversation: Conversation | None) -> Described | None:
    """Describe a checkpoint; None if no exporter is installed.

    Raises:
        ApplianceError: an export would raise this error.
    """
    for point in entry_points(group=GROUP):
        try:
            read: Describe = point.load()
        except ModuleNotFoundError:
            # The exporter's libraries are not installed: this box gets its artefacts from elsewhere.
            continue
        return read(files, conversation)
    return None


def export_fault(stored: StoredModel) -> ApplianceError | None:
    """The error that would prevent the export of a model; None if there is none, or if no exporter is installed."""
    try:
        describe(stored.files, stored.entry.conversation)
    except ApplianceError as error:
        return error
    return None
