"""Aider: it edits a file."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.clients.python.box import Box


def _aider(box: Box, *words: str) -> str:
    own = {**os.environ, "OPENAI_API_BASE": box.v1, "OPENAI_API_KEY": box.key, "AIDER_ANALYTICS": "false"}
    with tempfile.TemporaryDirectory(prefix="appliance-aider-") as folder:
        (Path(folder) / "add.py").write_text("def add(a, b):\n    return a - b\n")
        command = [
            *[str(Path(sys.executable).parent / "aider"), "--model", f"openai/{box.model}", "--edit-format", "whole"],
            *["--no-git", "--yes-always", "--no-check-update", "--no-show-model-warnings", "--no-analytics"],
            *["--no-auto-lint", "--no-suggest-shell-commands", *words, "add.py"],
        ]
        ended = subprocess.run(
            command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=own, cwd=folder
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout


def stream(box: Box) -> None:
    answer = _aider(box, "--message", "Make add return the sum of a and b.")
    assert "Tokens:" in answer, answer
    assert "litellm." not in answer, answer


def chat(box: Box) -> None:
    answer = _aider(box, "--no-stream", "--chat-mode", "ask", "--message", "What does add return?")
    assert "Tokens:" in answer, answer
    assert "litellm." not in answer, answer
