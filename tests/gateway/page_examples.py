"""Runs the examples of a page one after another, as its reader would, and returns what they print."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import anthropic
import openai

DOCS = Path(__file__).resolve().parents[2] / "docs"
_ADDRESS = "http://127.0.0.1:8080"
_MODEL = "qwen2.5-coder-0.5b-instruct"


def blocks(page: str, language: str) -> list[str]:
    """The blocks of code of a page in this language."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def printed(page: str, url: str, model: str) -> list[str]:
    """What each example in Python prints, with the address and the model of a test in place of the page's.

    Later examples use the names of earlier ones.
    """
    names: dict[str, Any] = {}
    outputs = []
    try:
        for code in blocks(page, "python"):
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(code.replace(_ADDRESS, url).replace(_MODEL, model), names)  # noqa: S102 - our own page
            outputs.append(out.getvalue())
    finally:
        for client in names.values():
            if isinstance(client, openai.OpenAI | anthropic.Anthropic):
                client.close()
    return outputs
