"""`appliance route show`."""

from __future__ import annotations

from dataclasses import asdict

import click

from appliance.cli.box import Box
from appliance.cli.output import json_option, print_json, table
from appliance.cli.route.abilities import Abilities, abilities
from appliance.cli.route.answering import NOT_RUNNING, answering, reasons
from appliance.site.routes import Routes


@click.command("show")
@click.argument("name")
@json_option
@click.pass_obj
def command(box: Box, name: str, as_json: bool) -> None:
    """Show the models of a route and what each can do.

    The first model without a reason in the column LEFT OUT BECAUSE answers now.
    """
    models = Routes.load(box.layout.routes).models(name)
    can = {model: abilities(box, model) for model in models}
    found = reasons(box).get(name)
    if as_json:
        print_json(
            {
                "name": name,
                "answering": answering(found) if found is not None else None,
                "models": [
                    {
                        "model": model,
                        "left_out_because": found[model] if found is not None else None,
                        "abilities": asdict(known) if known is not None else None,
                        "missing": _missing(known, can[models[0]]),
                    }
                    for model, known in can.items()
                ],
            }
        )
        return
    table(
        ("MODEL", "CONTEXT", "TOOLS", "THINKING", "LICENCE", "MAKER", "LEFT OUT BECAUSE"),
        [(model, *_cells(known), found[model] if found is not None else NOT_RUNNING) for model, known in can.items()],
    )
    for model, known in can.items():
        for missing in _missing(known, can[models[0]]):
            click.echo(f"{model}: {missing}")


def _missing(known: Abilities | None, preferred: Abilities | None) -> list[str]:
    return known.missing(preferred) if known is not None and preferred is not None else []


def _cells(known: Abilities | None) -> tuple[str, ...]:
    if known is None:
        return ("not exported", "", "", "", "")
    yes = {True: "yes", False: "no"}
    return (str(known.context_tokens), yes[known.tools], yes[known.thinking], known.licence, known.maker)
