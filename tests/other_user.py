"""Another user of the machine, for tests that show what that one cannot do. They need root to become it."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable
from typing import Any

import pytest

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def as_nobody(attempt: Callable[[], Any]) -> Any:
    """Run it as a user who owns nothing, in a process of its own; returns what it returns, as JSON carries it.

    It must import nothing: that user may not be able to read our packages.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            answer = {"returned": attempt()}
        except BaseException:  # noqa: BLE001 - the child ends here whatever happens
            answer = {"failed": traceback.format_exc()}
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        answer = json.loads(stream.read())
    os.waitpid(child, 0)
    assert "failed" not in answer, answer["failed"]
    return answer["returned"]


def refusal(attempt: Callable[[], object]) -> str:
    """The name of the error that the attempt ends with, or "done"."""
    try:
        attempt()
    except OSError as error:
        return type(error).__name__
    return "done"
