"""The root of the command line: global options, and the table of all commands."""

from __future__ import annotations

from pathlib import Path

import click

from appliance import __version__
from appliance.cli.box import Box
from appliance.cli.lazy import LazyGroup

COMMANDS = {
    "chat": ("appliance.cli.chat:command", "Chat with a model that this box serves."),
    "completion": ("appliance.cli.completion:command", "Print the shell completion script."),
    "export": ("", "Convert an installed model to an artefact that the box can serve."),
    "key": ("appliance.cli.key:command", "Create, list, replace and revoke API keys."),
    "model": ("appliance.cli.model:command", "Download, verify, list, load and remove models."),
    "plan": ("", "Predict a model's memory and throughput on a target."),
    "status": ("appliance.cli.status:command", "Show health, load, memory and warnings on one page."),
    "tensorrt": ("appliance.cli.tensorrt:command", "Build, list and remove TensorRT plans."),
    "tls": ("appliance.cli.tls:command", "Create and show certificates."),
    "up": ("appliance.cli.up:command", "Serve one or several models until Ctrl-C."),
}


# Former name of a command -> current name.
FORMER = {"engine": "tensorrt"}


@click.group(
    name="appliance",
    cls=LazyGroup,
    table=COMMANDS,
    former=FORMER,
    entry_point_group="appliance.commands",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes and all commands: docs/cli.md. Shell completion: appliance completion --help",
)
@click.option(
    "--root",
    type=click.Path(file_okay=False, readable=False, path_type=Path),
    help="Folder for the state of this box. Default: $APPLIANCE_ROOT, else /var/lib/appliance if writable, "
    "else ~/.local/share/appliance.",
)
@click.version_option(__version__, prog_name="appliance", message="%(prog)s %(version)s")
@click.pass_context
def command(context: click.Context, root: Path | None) -> None:
    """Verify, export and serve language models on this machine (the box), with NVIDIA Triton."""
    context.obj = box = Box.from_environment(root)
    box.check_readable()
