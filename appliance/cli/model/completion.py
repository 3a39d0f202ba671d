"""Completes model names in the shell. It never fails: with a damaged catalogue, it offers no names."""

from __future__ import annotations

import click

from appliance.catalog import Catalogue
from appliance.cli.box import Box
from appliance.errors import ApplianceError
from appliance.store import installed
from appliance.supervisor import state


def known_names(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of the catalogue's models with this prefix."""
    try:
        names = [entry.name for entry in Catalogue.load(_box(context).layout.catalogue).entries]
    except ApplianceError:
        return []
    return [name for name in names if name.startswith(incomplete)]


def installed_names(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of installed models with this prefix."""
    try:
        names = [model.name for model in installed(_box(context).layout)]
    except ApplianceError:
        return []
    return [name for name in names if name.startswith(incomplete)]


def served_names(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of the running box's models with this prefix."""
    try:
        up = state.read(_box(context).layout.run)
    except (ApplianceError, OSError):
        return []
    return [name for name in (up.names if up else ()) if name.startswith(incomplete)]


def _box(context: click.Context) -> Box:
    # Completion parses the command line but runs no command, so the root has not created its box.
    return context.find_object(Box) or Box.from_environment(context.find_root().params.get("root"))
