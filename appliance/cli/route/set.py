"""`appliance route set`."""

from __future__ import annotations

import click

from appliance.cli.box import Box
from appliance.cli.decide import decide
from appliance.cli.model.completion import served_names
from appliance.cli.output import json_option, print_json
from appliance.errors import UnknownModelError
from appliance.layout import Layout
from appliance.site.routes import Routes
from appliance.store import ArtefactStore
from appliance.supervisor import state


@click.command("set")
@click.argument("name")
@click.argument("models", nargs=-1, required=True, shell_complete=served_names)
@json_option
@click.pass_obj
def command(box: Box, name: str, models: tuple[str, ...], as_json: bool) -> None:
    """Create a route, or change its models and their order.

    Clients ask for NAME. The first of the MODELS that works answers; `appliance route show NAME` says why the others do
    not. A running box uses the new order for the next request. Running answers continue with their model.
    """
    known = _known(box.layout)
    for model in models:
        if model not in known:
            raise UnknownModelError(
                f"this box does not serve the model {model!r}", hint=f"choose from: {', '.join(sorted(known))}"
            )
    routes = Routes.load(box.layout.routes).with_route(name, models, {*known, *box.config.serve.aliases})
    decide(box, routes, box.layout.routes)
    if as_json:
        print_json({"name": name, "models": list(models)})
    else:
        click.echo(f"{name}: {', '.join(models)}")


def _known(layout: Layout) -> set[str]:
    """The models that the running box serves, or that are exported."""
    up = state.read(layout.run)
    return set(up.names) if up is not None else {model for model, _ in ArtefactStore(layout).every()}
