"""`python -m appliance.ops.toolchain`: what `make setup` runs. Prints one line per failure and sets the exit code."""

from __future__ import annotations

import errno
import os
import platform
import sys
from pathlib import Path

from appliance.errors import ApplianceError, NoSpaceError, NotPermittedError
from appliance.layout import Layout
from appliance.ops.machine import this_machine
from appliance.ops.toolchain.build import build

_OPS = Path(__file__).resolve().parent.parent


def main() -> int:
    """Build the operators of this checkout for this machine; returns the exit status."""
    machine = this_machine()
    if machine is None:
        _tell(f"The operators have no kernels for {platform.machine()}: the portable graph runs here")
        return 0
    try:
        build(_OPS, Layout.from_environment(os.environ).operators, machine, _tell)
    except ApplianceError as error:
        return _report(error)
    except OSError as error:
        return _report(_of_the_disk(error))
    return 0


def _of_the_disk(error: OSError) -> ApplianceError:
    what = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return NoSpaceError(what, hint="free some disk space, or choose another folder with APPLIANCE_CACHE")
    if isinstance(error, PermissionError):
        return NotPermittedError(what, hint="run this as the owner of the folder, or set APPLIANCE_CACHE")
    return ApplianceError(what)


def _report(error: ApplianceError) -> int:
    _tell(f"error: {error}")
    return error.exit_code


def _tell(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
