"""`appliance model list`."""

from __future__ import annotations

import click

from appliance.catalog import Catalogue
from appliance.cli.box import Box
from appliance.cli.output import json_option, print_json, table
from appliance.sizes import size
from appliance.store import installed


@click.command("list")
@json_option
@click.pass_obj
def command(box: Box, as_json: bool) -> None:
    """List installed and available models."""
    stored = {model.name: model.entry for model in installed(box.layout)}
    known = {entry.name: entry for entry in Catalogue.load(box.layout.catalogue).entries} | stored
    states = {name: "installed" if name in stored else "available" for name in sorted(known)}
    if as_json:
        print_json(
            [
                {
                    "name": name,
                    "state": state,
                    "size_bytes": known[name].size_bytes,
                    "architecture": known[name].architecture,
                    "licence": known[name].licence,
                    "maker": known[name].maker,
                    "trust": known[name].trust.value,
                }
                for name, state in states.items()
            ]
        )
        return
    table(
        ("NAME", "STATE", "SIZE", "LICENCE", "TRUST"),
        [
            (name, state, size(known[name].size_bytes), known[name].licence, known[name].trust.value)
            for name, state in states.items()
        ],
    )
