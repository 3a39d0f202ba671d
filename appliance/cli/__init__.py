"""The command line: a package per noun, a module per verb. It holds no rules of its own, it calls the levels below."""

from __future__ import annotations

from typing import NoReturn

from appliance.isolation import isolate


def main() -> NoReturn:
    """Run the command line and exit the process: the `appliance` script, and `python -m appliance.cli`."""
    isolate()
    # Only now: a foreign click would have been imported before.
    from appliance.cli import rim  # noqa: PLC0415

    rim.main()
