"""Instructor with OpenAI's API."""

from __future__ import annotations

import instructor
import openai
import pydantic

from tests.clients.python.box import Box

QUESTION = [{"role": "user", "content": "Where is the Eiffel tower?"}]


class City(pydantic.BaseModel):
    name: str
    country: str


def client(box: Box, mode: instructor.Mode) -> instructor.Instructor:
    return instructor.from_openai(openai.OpenAI(base_url=box.v1, api_key=box.key, max_retries=0), mode=mode)


def ask(box: Box, mode: instructor.Mode, kind: type = City):
    asked = {"model": box.model, "messages": QUESTION, "max_tokens": 200, "temperature": 0, "max_retries": 0}
    return client(box, mode).chat.completions.create(response_model=kind, **asked)


def forced(box: Box) -> None:
    for mode in [instructor.Mode.TOOLS, instructor.Mode.TOOLS_STRICT]:
        assert isinstance(ask(box, mode), City)


def schema(box: Box) -> None:
    for mode in [instructor.Mode.JSON_SCHEMA, instructor.Mode.JSON]:
        assert isinstance(ask(box, mode), City)


def stream(box: Box) -> None:
    asked = {"model": box.model, "messages": QUESTION, "max_tokens": 200, "temperature": 0, "max_retries": 0}
    pieces = list(client(box, instructor.Mode.TOOLS).chat.completions.create_partial(response_model=City, **asked))
    assert len(pieces) > 1
    assert City.model_validate(pieces[-1].model_dump())
