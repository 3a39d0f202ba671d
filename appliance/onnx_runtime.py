"""ONNX Runtime without its telemetry. No other module imports the package.

Its wheels for Linux (1.32) record the machine, an id for the machine, the path of the running program and each
session. They store this in `~/.cache/Microsoft` and send it to their maker. `disable_telemetry_events` takes effect
too late: the library reads this variable while it is loaded.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort

__all__ = ["ort"]
