"""`appliance model verify`."""

from __future__ import annotations

import click

from appliance.cli.box import Box
from appliance.cli.model.completion import installed_names
from appliance.cli.output import json_option, print_json
from appliance.cli.progress import progress
from appliance.errors import IntegrityError
from appliance.store import Fault, StoredModel, installed, open_model


@click.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=installed_names)
@json_option
@click.pass_obj
def command(box: Box, names: tuple[str, ...], as_json: bool) -> None:
    """Verify the files of installed models again.

    The command computes the digest of each file and lists missing and changed files. Without a NAME, it verifies all
    installed models.
    """
    models = [open_model(box.layout, name) for name in names] if names else list(installed(box.layout))
    faults = {model.name: _verify(model) for model in models}
    if as_json:
        print_json([_document(model, faults[model.name]) for model in models])
    else:
        for model in models:
            bad = {fault.file.name for fault in faults[model.name]}
            for file in model.entry.files:
                click.echo(f"{'BAD' if file.name in bad else 'ok '} {model.name}/{file.name}")
        if not models:
            click.echo("no model is installed")
    messages = [f"{name}: {fault.message}" for name, found in faults.items() for fault in found]
    if messages:
        broken = next(name for name, found in faults.items() if found)
        raise IntegrityError(
            "; ".join(messages), hint=f"download the broken files again: appliance model pull {broken}"
        )


def _verify(model: StoredModel) -> tuple[Fault, ...]:
    with progress(f"verifying {model.name}", model.entry.size_bytes) as advance:
        return model.faults(advance)


def _document(model: StoredModel, faults: tuple[Fault, ...]) -> dict[str, object]:
    return {
        "name": model.name,
        "ok": not faults,
        "faults": [{"file": fault.file.name, "message": fault.message} for fault in faults],
    }
