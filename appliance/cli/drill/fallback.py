"""`appliance drill fallback`."""

from __future__ import annotations

import sys

import click

from appliance.cli.box import Box
from appliance.cli.door import door_of
from appliance.cli.drill.record import document, keep
from appliance.cli.drill.rehearsal import Rehearsed, rehearse
from appliance.cli.drill.triggers import TRIGGERS
from appliance.cli.output import json_option, print_json, table, tell
from appliance.errors import EngineError, UnavailableError, UsageError
from appliance.site.routes import Routes
from appliance.supervisor import state

# A hanging process is noticed at the deadline, and the watchdog ends it after a few seconds more.
_DEADLINE_S = 11.0


@click.command("fallback")
@click.argument("route")
@click.option(
    "--trigger",
    "triggers",
    type=click.Choice(list(TRIGGERS)),
    multiple=True,
    help="Rehearse only this trigger. Repeatable. Default: all.",
)
@click.option("--yes", is_flag=True, help="Do not ask before the drill disturbs the box.")
@json_option
@click.pass_obj
def command(box: Box, route: str, triggers: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Rehearse on the running box that a route falls back.

    Three clients ask ROUTE without a pause. Meanwhile, the drill makes its first model fail in the way of each trigger,
    waits until the next model answers, and undoes the failure. It prints what the clients saw, and keeps the record in
    the folder drills of the box.

    The triggers are: policy (the site refuses the model), operator (the model is unloaded by order), integrity (a file
    of the model has a wrong byte), load (the model cannot be loaded), crash (the process of the model is killed) and
    hang (the process stops, and requests reach their deadlines).

    The requests of other clients to the first model can fail during the drill. After crash and hang, the box may have
    to start Triton again, which ends the running requests of all models.
    """
    models = Routes.load(box.layout.routes).models(route)
    up = state.read(box.layout.run)
    if up is None:
        raise UnavailableError("this box is not serving a model", hint="start it: appliance up MODEL OTHER_MODEL")
    if len([model for model in models if model in up.names]) < 2:  # noqa: PLR2004 - one to fail, one to answer
        raise UsageError(
            f"the box serves fewer than two models of the route {route}",
            hint=f"serve them: appliance up {' '.join(models)}",
        )
    _check_consent(models[0], yes=yes, as_json=as_json)
    rehearsed = []
    for trigger in triggers or TRIGGERS:
        tell(f"{trigger} …")
        rehearsed.append(rehearse(box, door_of(box, up), route, trigger, _DEADLINE_S))
    record = document(route, models, rehearsed)
    path = keep(record, box.layout.drills)
    if as_json:
        print_json(record)
    else:
        _print(rehearsed)
        click.echo(f"\nrecord: {path}")
    if failed := [one.trigger for one in rehearsed if not one.has_passed]:
        raise EngineError(f"the route did not fall back and return: {', '.join(failed)}", hint=f"see {path}")


def _check_consent(model: str, *, yes: bool, as_json: bool) -> None:
    """Ask the person at the terminal; elsewhere, the option is required."""
    if yes:
        return
    if as_json or not sys.stdin.isatty():
        raise UsageError("the drill disturbs the running box", hint="add --yes")
    click.confirm(f"The drill ends running requests of {model}. Continue?", abort=True, err=True)


def _print(rehearsed: list[Rehearsed]) -> None:
    table(
        ("TRIGGER", "ANSWERED BY", "FIRST ANSWER", "REQUESTS", "LOST", "LONGEST", "CONTINUED", "BACK AFTER"),
        [
            (
                one.trigger,
                one.answered_by or "nobody",
                _seconds(one.first_answer_s),
                str(one.requests),
                str(one.lost),
                _seconds(one.longest_s),
                str(one.continued),
                _seconds(one.back_s),
            )
            for one in rehearsed
        ],
    )
    for one in rehearsed:
        for error in one.errors:
            click.echo(f"{one.trigger}: a client got: {error}")


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f} s"
