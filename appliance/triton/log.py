"""Finds the cause of a failed start in tritonserver's log, and returns it as an ApplianceError."""

from __future__ import annotations

import re

from appliance.errors import ApplianceError, EngineError, MissingProgramError, RequestError
from appliance.inference import error_text

_FAILED = re.compile(r"failed to load '([^']*)' version \d+: [A-Za-z ]+: (.*)")
_LINE = re.compile(r"^[EW]\d{4} [\d:.]+ +\d+ [^\]]*\] ?(.*)$")
_HARMLESS = ("CudaDriverHelper", "pinned memory", "pinned system memory", "CUDA", "NVML", "DCGM")


def failure(text: str, where: str) -> ApplianceError:
    """Turn the log of a server that did not start into the error to report.

    Args:
        text: the log, or its end.
        where: the log's path, for the hint.
    """
    hint = f"the whole log is {where}"
    found = _FAILED.search(text)
    if found:
        # The log escapes newlines as "\n".
        reason = shortened(found[2].replace("\\n", "\n")).strip('"')
        return (
            _ours(reason) or _known(reason, hint) or EngineError(f"Triton cannot load {found[1]}: {reason}", hint=hint)
        )
    last = last_errors(text)
    return _known(last, hint) or EngineError(f"Triton failed to start: {last or 'it printed nothing'}", hint=hint)


def shortened(reason: str) -> str:
    """Triton's reason of a failure without the traceback, which follows after an empty line."""
    return reason.partition("\n\nAt:")[0].strip()


def last_errors(text: str) -> str:
    """The last warning or error of the log, except those that appear on every machine without a GPU."""
    lines = [line for line in text.splitlines() if line.strip()]
    logged = [found[1].strip().strip('"') for line in lines if (found := _LINE.match(line))]
    logged = [line for line in logged if not any(word in line for word in _HARMLESS)]
    # If there is none: Triton's informational lines, except its tables, and the output of other programs.
    other = [line.strip() for line in lines if line[0] not in "|+" and not _LINE.match(line)]
    return next(reversed(logged or other), "")


def _ours(reason: str) -> ApplianceError | None:
    found = error_text.read(reason)
    # No client sent a request yet, so a RequestError becomes an EngineError.
    return EngineError(found.message) if isinstance(found, RequestError) else found


def _known(reason: str, hint: str) -> ApplianceError | None:
    if "ModuleNotFoundError" in reason or "ImportError" in reason:
        return MissingProgramError(
            f"Triton's Python cannot import a package that the model needs: {reason}",
            hint=f"install the appliance into the environment that runs it; {hint}",
        )
    if "libpython" in reason or "cannot open shared object file" in reason:
        return MissingProgramError(f"Triton's Python backend does not start: {reason}", hint=hint)
    return None
