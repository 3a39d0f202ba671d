"""The reference pages, out of the code. A test compares them with those in `docs`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from appliance import config
from appliance.cli.rim import INTERRUPTED
from appliance.cli.root import command as root
from appliance.errors import ApplianceError
from appliance.gateway.metrics.table import page as metrics_page
from tests.reference.api_page import page as api_page
from tests.reference.proxies_page import page as proxies_page
from tests.reference.schemas_page import page as schemas_page

WIDTH = 100


def exit_codes() -> list[tuple[int, str, str]]:
    """(exit code, what it means, the error's name), in order; one row for each code."""
    rows = [(0, "Success.", ""), (1, "An unexpected failure of the appliance; a bug prints its traceback.", "")]
    rows += [(kind.exit_code, _first_line(kind), kind.__name__) for kind in _kinds(ApplianceError)]
    return [*sorted(rows), (INTERRUPTED, "Interrupted with Ctrl-C.", "")]


def _kinds(base: type[ApplianceError]) -> Iterator[type[ApplianceError]]:
    """Error classes that have an exit code of their own."""
    for kind in base.__subclasses__():
        if "exit_code" in vars(kind) and kind.__module__ == ApplianceError.__module__:
            yield kind
        yield from _kinds(kind)


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


def cli_page() -> str:
    """Exit codes, and the help of every command."""
    lines = ["# Command line", "", "`make docs` generates this page from the code.", "", "## Exit codes", ""]
    lines += ["| code | meaning | `error` with --json |", "|---|---|---|"]
    lines += [f"| {code} | {meaning} | {f'`{name}`' if name else ''} |" for code, meaning, name in exit_codes()]
    lines += [
        "",
        "An error prints two lines to standard error: `error: …` says what is wrong, `  hint: …` says what to do.",
        "With `--json`, an error prints one JSON object to standard error, with the keys `error`, `message`, `hint`",
        "and `exit_code`.",
    ]
    for path, helped in _helps(root, "appliance"):
        lines += ["", f"## {path}", "", "```", helped, "```"]
    return "\n".join(lines) + "\n"


def _helps(command: click.Command, path: str, parent: click.Context | None = None) -> Iterator[tuple[str, str]]:
    context = click.Context(
        command, parent, info_name=path.rsplit(maxsplit=1)[-1], terminal_width=WIDTH, max_content_width=WIDTH
    )
    context.help_option_names = ["-h", "--help"]
    yield path, "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                yield from _helps(child, f"{path} {name}", context)


PAGES = {
    "api.md": api_page,
    "cli.md": cli_page,
    "configuration.md": config.reference,
    "metrics.md": metrics_page,
    "proxies.md": proxies_page,
    "schemas.md": schemas_page,
}
