"""Instructor with Anthropic's API."""

from __future__ import annotations

import anthropic
import instructor

from tests.clients.python.box import Box
from tests.clients.python.instructor_chat import QUESTION, City


def ask(box: Box, mode: instructor.Mode):
    client = anthropic.Anthropic(base_url=box.http, api_key=box.key, max_retries=0)
    asked = {"model": box.model, "messages": QUESTION, "max_tokens": 200, "temperature": 0, "max_retries": 0}
    return instructor.from_anthropic(client, mode=mode).messages.create(response_model=City, **asked)


def forced(box: Box) -> None:
    assert isinstance(ask(box, instructor.Mode.ANTHROPIC_TOOLS), City)


def schema(box: Box) -> None:
    assert isinstance(ask(box, instructor.Mode.ANTHROPIC_JSON), City)
