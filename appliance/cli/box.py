"""What every command is handed: the box it works on. It reads nothing until asked."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from appliance.config import Config
from appliance.layout import Layout


@dataclass
class Box:
    """One appliance, as the command line's global options name it; commands take it with `@click.pass_obj`."""

    layout: Layout

    @classmethod
    def from_environment(cls, root: Path | None) -> Box:
        """The box whose root the option, the environment or the defaults name."""
        return cls(Layout.from_environment(os.environ, root))

    def check_readable(self) -> None:
        """Accept a root that this user may look into, or that is absent.

        Looking for files in a folder that may not be read finds none: it would be told as an empty box.

        Raises:
            PermissionError: this user may not.
            NotADirectoryError: it is a file.
        """
        with suppress(FileNotFoundError):
            os.scandir(self.layout.root).close()

    @cached_property
    def config(self) -> Config:
        """The box's configuration.

        Raises:
            UsageError: the file has an unknown key or a wrong value.
        """
        return Config.load(self.layout.config_file)
