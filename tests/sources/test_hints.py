"""Every error of the sources and of the store says what to do."""

import ast
from pathlib import Path

import pytest

import appliance
from tests.wording import made

HOME = Path(appliance.__file__).parent


@pytest.mark.parametrize("part", ["sources", "store"])
def test_every_error_has_a_hint(part: str):
    errors = [(path, call) for path in (HOME / part).glob("*.py") for call in made(ast.parse(path.read_text("utf-8")))]
    assert len(errors) > 5
    assert [
        f"{path.name}:{call.lineno}"
        for path, call in errors
        if "hint" not in {keyword.arg for keyword in call.keywords}
    ] == []
