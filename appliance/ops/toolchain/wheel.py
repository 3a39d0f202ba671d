"""Hatchling's hook for the wheel: it contains the compiled operators, so it is made for one platform."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class OperatorsInTheWheel(BuildHookInterface[BuilderConfig]):
    """Builds the operators, if needed, and gives the wheel its platform tag. Without kernels the wheel is for any."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Hatchling calls this before it builds. An editable install uses the checkout, where `make setup` builds."""
        if version == "editable":
            return
        # pip builds in an environment of its own, which does not have the checkout.
        sys.path.insert(0, self.root)
        from appliance.errors import ApplianceError  # noqa: PLC0415
        from appliance.layout import Layout  # noqa: PLC0415
        from appliance.ops.machine import this_machine  # noqa: PLC0415
        from appliance.ops.record import LIBRARY, RECORD  # noqa: PLC0415
        from appliance.ops.toolchain.build import build  # noqa: PLC0415

        machine = this_machine()
        if machine is None:
            return
        ops = Path(self.root) / "appliance" / "ops"
        try:
            build(ops, Layout.from_environment(os.environ).operators, machine, self.app.display_info)
        except (ApplianceError, OSError) as error:
            self.app.abort(f"error: {error}", getattr(error, "exit_code", 1))
        # It runs under every supported Python, but not on every platform.
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{machine.wheel}"
        build_data["artifacts"] += [f"/appliance/ops/{name}" for name in (LIBRARY, RECORD)]
