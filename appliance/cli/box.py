"""The object that every command receives: the box that it works on. Files are read when they are needed."""

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
    """One appliance, as selected by the command line's global options; commands get it with `@click.pass_obj`."""

    layout: Layout

    @classmethod
    def from_environment(cls, root: Path | None) -> Box:
        """The box with the root of the option, the environment or the defaults."""
        return cls(Layout.from_environment(os.environ, root))

    def check_readable(self) -> None:
        """Check that this user may read the root, or that the root does not exist.

        A search in an unreadable folder finds no files: the box would appear to be empty.

        Raises:
            PermissionError: this user may not read the root.
            NotADirectoryError: the root is a file.
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
