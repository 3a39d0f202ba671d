"""How tests look at a refusal: its exact kind, and the facts that tell it from others of that kind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from appliance.errors import ApplianceError


@contextmanager
def refused(kind: type[ApplianceError], *facts: str | int) -> Iterator[pytest.ExceptionInfo[ApplianceError]]:
    """The block ends with this error, whose line has each fact: a name, a number, a command, or a word of the cause."""
    with pytest.raises(kind) as caught:
        yield caught
    assert type(caught.value) is kind
    said = str(caught.value)
    assert [fact for fact in facts if not _is_in(said, fact)] == [], said


def _is_in(said: str, fact: str | int) -> bool:
    return fact in said if isinstance(fact, str) else re.search(rf"(?<!\d){fact}(?!\d)", said) is not None
