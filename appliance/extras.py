"""The commands that install an extra's packages, from the metadata of the installed appliance. It installs nothing.

The commands do not name the appliance itself: on the public index that name belongs to another project.
"""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_DISTRIBUTION = "appliance"


def install_command(extra: str, *, replaces: str = "") -> str:
    """Return the shell command that installs an extra's packages into the running Python's environment.

    Args:
        extra: the extra's name in pyproject.toml.
        replaces: a package to remove first, because the extra's packages replace it.
    """
    pip = shlex.join([sys.executable, "-m", "pip"])
    remove = f"{pip} uninstall --yes {replaces} && " if replaces else ""
    return f"{remove}{pip} install {shlex.join(packages(extra))}"


def packages(extra: str) -> list[str]:
    """Return the requirements of an extra on this Python, without their markers."""
    # Only an error needs these packages, and each start would wait for them.
    from importlib import metadata  # noqa: PLC0415

    from packaging.requirements import Requirement  # noqa: PLC0415

    found = map(Requirement, metadata.requires(_DISTRIBUTION) or ())
    return [f"{line.name}{line.specifier}" for line in found if _is_added(line, extra)]


def _is_added(line: Requirement, extra: str) -> bool:
    return (
        line.marker is not None and line.marker.evaluate({"extra": extra}) and not line.marker.evaluate({"extra": ""})
    )
