"""The command line's root: global options, and the table of commands. Add a command by adding its line here."""

from __future__ import annotations

from pathlib import Path

import click

from appliance import __version__
from appliance.cli.box import Box
from appliance.cli.lazy import LazyGroup

COMMANDS = {
    "chat": ("appliance.cli.chat:command", "Talk to the model that is being served on this box."),
    "completion": ("appliance.cli.completion:command", "Print the shell completion script."),
    "engine": ("appliance.cli.engine:command", "TensorRT engines of this box."),
    "export": ("", "Turn an installed model into an artefact that can be served."),
    "key": ("appliance.cli.key:command", "API keys of this box."),
    "model": ("appliance.cli.model:command", "Known and installed models."),
    "plan": ("", "Predict a model's memory and speed on a target, before any work."),
    "status": ("appliance.cli.status:command", "Show on one page how the box is doing."),
    "tls": ("appliance.cli.tls:command", "Certificates of this box."),
    "up": ("appliance.cli.up:command", "Serve a model until interrupted."),
}


@click.group(
    name="appliance",
    cls=LazyGroup,
    table=COMMANDS,
    entry_point_group="appliance.commands",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes and all commands: docs/cli.md. Completion: appliance completion --help",
)
@click.option(
    "--root",
    type=click.Path(file_okay=False, readable=False, path_type=Path),
    help="Folder that holds this box's state. Default: $APPLIANCE_ROOT, else /var/lib/appliance if writable, "
    "else ~/.local/share/appliance.",
)
@click.version_option(__version__, prog_name="appliance", message="%(prog)s %(version)s")
@click.pass_context
def command(context: click.Context, root: Path | None) -> None:
    """Verified models, served by NVIDIA Triton on this box."""
    context.obj = box = Box.from_environment(root)
    box.check_readable()
