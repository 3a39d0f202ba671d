"""A script for Edge-LLM's own environment. It prints one line of JSON that shows how far the package can be loaded.

1. Is it installed, and which version?
2. Can the modules of its server and its runtime be imported?
3. Which GPU does it find?
4. Can its native library be loaded?
"""

from __future__ import annotations

import json
from importlib import import_module, metadata


def _look() -> dict[str, str]:
    try:
        found = {"version": metadata.version("tensorrt-edgellm")}
    except metadata.PackageNotFoundError:
        return {}
    try:
        import_module("experimental.server")
        runtime = import_module("tensorrt_edgellm.runtime")
        found["gpu"] = f"sm_{import_module('tensorrt_edgellm._native.detect').detect_platform().gpu_sm}"
        runtime.load()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        found["error"] = f"{type(error).__name__}: {error}"
    return found


if __name__ == "__main__":
    print(json.dumps(_look()))  # noqa: T201 - the answer
