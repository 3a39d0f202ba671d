"""ONNX Runtime without its telemetry. Nothing else imports the package.

Its wheels for Linux (1.32) note the machine, a number of their own for it, the path of the running program and each
session. They keep that in `~/.cache/Microsoft` and send it to their maker. `disable_telemetry_events` comes too late:
the library reads this variable while it is loaded.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort

__all__ = ["ort"]
