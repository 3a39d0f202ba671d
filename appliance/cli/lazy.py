"""A click group that imports a command only when it is invoked, so that `--help` stays fast."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import click
from click.shell_completion import CompletionItem

from appliance.cli.output import tell
from appliance.errors import MissingProgramError
from appliance.extras import install_command


class LazyGroup(click.Group):
    """A group with commands from a table of paths and, optionally, from an entry point group.

    Args:
        table: command name -> ("package.module:attribute", one line of help). An empty path means that an entry point
            provides the command, which is not imported to be listed.
        entry_point_group: installed distributions may add commands under this entry point group; they cannot replace a
            command that has a path in the table.
        former: former command name -> current name. A former name still works, and prints a line about the current one.
    """

    def __init__(
        self,
        *args: Any,
        table: Mapping[str, tuple[str, str]],
        entry_point_group: str = "",
        former: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._former = former or {}
        self.table = table
        self.entry_point_group = entry_point_group

    def _additions(self) -> dict[str, EntryPoint]:
        if not self.entry_point_group:
            return {}
        found = {point.name: point for point in entry_points(group=self.entry_point_group)}
        return {name: point for name, point in found.items() if not self._path(name)}

    def _path(self, name: str) -> str:
        return self.table.get(name, ("", ""))[0]

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, sorted."""
        ours = (name for name in self.table if self._path(name))
        return sorted({*super().list_commands(ctx), *ours, *self._additions()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command, or None if no command has this name.

        Raises:
            MissingProgramError: a library that the command needs is not installed.
        """
        path = self._path(cmd_name)
        if not path:
            point = self._additions().get(cmd_name)
            if point is None:
                return super().get_command(ctx, cmd_name)
            path = point.value
        module, _, attribute = path.partition(":")
        try:
            command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            raise MissingProgramError(
                f"the command {cmd_name!r} needs {error.name}, which is not installed",
                hint=f"install the packages for the export: {install_command('export')}",
            ) from error
        if not isinstance(command, click.Command):
            raise TypeError(f"{path} is not a click command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See click.Group; the error for an unknown name lists similar names."""
        if args and args[0] in self._former:
            name = self._former[args[0]]
            tell(f"{ctx.command_path} {args[0]} is now {ctx.command_path} {name}")
            args = [name, *args[1:]]
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=2)
            if near:
                told = f"no such command {args[0]!r}; did you mean {' or '.join(map(repr, near))}?"
                raise click.UsageError(told, ctx) from error
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their help from the table; only commands from entry points are imported."""
        rows = []
        for name in self.list_commands(ctx):
            try:
                line = self.table[name][1] if name in self.table else self._line(ctx, name, formatter.width)
            except MissingProgramError as error:
                line = f"({error.message})"
            rows.append((name, line))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names of commands and options with this prefix; no command is imported."""
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        items = [CompletionItem(name, help=self.table.get(name, ("", ""))[1] or None) for name in names]
        # Bypass `Group`, which would import every command to check whether it is hidden.
        return items + click.Command.shell_complete(self, ctx, incomplete)

    def _line(self, ctx: click.Context, name: str, width: int) -> str:
        command = self.get_command(ctx, name)
        return command.get_short_help_str(limit=width) if command else ""
