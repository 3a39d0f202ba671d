"""The entry point of the command line: prints one line per failure and sets its exit code. Bugs get a traceback."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import click

from appliance.cli.output import tell
from appliance.errors import ApplianceError, NoSpaceError, NotPermittedError, UsageError

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit the process."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # A model's answer or a folder's name may contain characters that the terminal cannot encode.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    status = run(words)
    _leave_nothing_to_flush()
    sys.exit(status)


def run(words: Sequence[str]) -> int:
    """Run one command line; prints a failure on standard error and returns the exit code."""
    # Imported late so that an import error below is reported like any other failure.
    from appliance.cli.root import command  # noqa: PLC0415

    return reported(
        lambda: command.main(args=list(words), prog_name="appliance", standalone_mode=False), as_json="--json" in words
    )


def reported(work: Callable[[], object], *, as_json: bool = False) -> int:
    """Do the work; prints a failure on standard error. Returns the exit code of the failure or of the work."""
    try:
        status = work()
    except ApplianceError as error:
        # If the cause was a file that this user may not open, report that.
        cause = error.__cause__
        return _report(_not_permitted(cause) if isinstance(cause, PermissionError) else error, as_json)
    except click.Abort:
        tell("interrupted")
        return INTERRUPTED
    except click.ClickException as error:
        return _report(_usage_error(error), as_json)
    except BrokenPipeError:
        # The reader closed the pipe.
        return 1
    except OSError as error:
        return _report(_storage_error(error), as_json)
    return status if isinstance(status, int) else 0


def _leave_nothing_to_flush() -> None:
    """Replace streams that cannot be flushed: at exit, Python would print an error and change the exit status."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
            continue
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _usage_error(error: click.ClickException) -> ApplianceError:
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"see {context.command_path} --help" if context else "see appliance --help"
    if isinstance(error, click.exceptions.NoArgsIsHelpError):  # its message is the whole help
        return UsageError("a command is missing", hint=hint)
    return UsageError(error.format_message().rstrip("."), hint=hint)


def _storage_error(error: OSError) -> ApplianceError:
    what = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return NoSpaceError(what, hint="free some disk space, or choose another folder with --root")
    if isinstance(error, PermissionError):
        return _not_permitted(error)
    if error.errno in {errno.EROFS, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOENT}:
        return UsageError(what, hint="give another file or folder, or choose another root folder with --root")
    return ApplianceError(what)


def _not_permitted(error: PermissionError) -> ApplianceError:
    what = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    owner = _owner(error.filename)
    who = f"as {owner}, the owner of the file" if owner else "as the owner of the file"
    return NotPermittedError(what, hint=f"run this command {who}, or choose another root folder with --root")


def _owner(name: object) -> str:
    """The owner of the file, or of the nearest accessible folder above it; empty if unknown."""
    if not isinstance(name, str):
        return ""
    path = Path(name).absolute()
    for each in (path, *path.parents):
        with suppress(OSError, KeyError):
            return each.owner()
    return ""


def _report(error: ApplianceError, as_json: bool) -> int:
    if as_json:
        kind = type(error).__name__
        body = {"error": kind, "message": error.message, "hint": error.hint, "exit_code": error.exit_code}
        tell(json.dumps(body))
    else:
        tell(f"error: {error.message}")
        if error.hint:
            tell(f"  hint: {error.hint}")
    return error.exit_code
