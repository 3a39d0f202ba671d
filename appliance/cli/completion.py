"""`appliance completion`: prints the script with which a shell completes our commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

VARIABLE = "_APPLIANCE_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the shell completion script.

    \b
    bash:  appliance completion bash >> ~/.bashrc
    zsh:   appliance completion zsh >> ~/.zshrc
    fish:  appliance completion fish > ~/.config/fish/completions/appliance.fish
    """  # noqa: D301 - click's mark is the character, not a backslash
    kind = get_completion_class(shell)
    if kind is None:
        raise click.BadParameter(f"completion for {shell} is not supported")
    click.echo(kind(context.find_root().command, {}, "appliance", VARIABLE).source())
