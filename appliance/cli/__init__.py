"""The command line: a package for each noun, a module for each verb. The logic is in the packages that it calls."""

from __future__ import annotations

from typing import NoReturn

from appliance.isolation import isolate


def main() -> NoReturn:
    """Run the command line and exit the process: the `appliance` script, and `python -m appliance.cli`."""
    isolate()
    # Imported after isolate(), which keeps a foreign click out.
    from appliance.cli import rim  # noqa: PLC0415

    rim.main()
