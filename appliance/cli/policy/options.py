"""The options of commands that change the policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from appliance.cli.box import Box
from appliance.cli.decide import decide
from appliance.cli.output import print_json
from appliance.errors import UsageError
from appliance.site.policy import Policy

Function = TypeVar("Function", bound=Callable[..., Any])


def subject_options(function: Function) -> Function:
    """Add `--model`, `--maker` and `--licence`, each repeatable."""
    for name, what in (("licence", "A licence"), ("maker", "A maker"), ("model", "A model")):
        text = f"{what}, written as `appliance model list --json` prints it. Repeatable."
        if name == "model":
            text = "The name of a model. Repeatable."
        function = click.option(f"--{name}", f"{name}s", multiple=True, metavar="TEXT", help=text)(function)
    return function


def check_subjects(*subjects: tuple[str, ...]) -> None:
    """Check that at least one option is given.

    Raises:
        UsageError: there is none.
    """
    if not any(subjects):
        raise UsageError("the command does not say what to change", hint="give --model, --maker or --licence")


def change(box: Box, policy: Policy, *, as_json: bool) -> None:
    """Put a policy into effect and print it; raises as `decide` does."""
    decide(box, policy, box.layout.policy)
    print_policy(policy, as_json=as_json)


def print_policy(policy: Policy, *, as_json: bool) -> None:
    """Print what the site refuses."""
    refused = {"models": policy.models, "makers": policy.makers, "licences": policy.licences}
    if as_json:
        print_json({kind: list(values) for kind, values in refused.items()})
    elif not any(refused.values()):
        click.echo("the site refuses nothing")
    for kind, values in refused.items() if not as_json else ():
        if values:
            click.echo(f"refused {kind}: {', '.join(values)}")
