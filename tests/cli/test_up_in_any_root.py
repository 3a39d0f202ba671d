"""What the root folder is called does not matter: Triton's Python backend puts paths into a line for bash."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.running_box import RunningBox

SHELL = "a b'\"(c)[d]{e};$(touch x)`id`&|<>*?~#!\\\nü日"
NAMES = [
    pytest.param(SHELL, id="all that a shell reads, and letters beyond ASCII"),
    pytest.param("\udcff" * 200, id="200 bytes that are no text"),
]


@pytest.mark.triton
@pytest.mark.parametrize("name", NAMES)
def test_a_box_serves_whatever_its_root_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setenv("LC_ALL", "C")
    root = tmp_path / name
    root.mkdir()
    with RunningBox(root) as box:
        with box.completion(max_tokens=1, ignore_eos=True) as answer:
            assert answer.status == 200
        assert box.call("status").returncode == 0
        assert box.call("chat", "--max-tokens", "1", "Hello").returncode == 0
    assert not list(root.rglob("x"))
