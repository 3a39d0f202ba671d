"""The table of the configuration: key -> the test of what it changes, seen from outside of what it configures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Test = TypeVar("Test", bound=Callable[..., Any])
ROWS: dict[str, str] = {}


def row(*keys: str) -> Callable[[Test], Test]:
    """Enter a test into the table, for one key or for several that only mean something together."""

    def enter(test: Test) -> Test:
        for key in keys:
            assert key not in ROWS, f"{key} has a row already"
            ROWS[key] = f"{test.__module__}.{test.__name__}"
        return test

    return enter
