"""The prompts, and the tools that each request offers."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from pathlib import Path

from appliance.gateway.chat.request import Tool

_FILE = Path(__file__).with_name("prompts.json")


class Kind(enum.Enum):
    """What a prompt needs.

    One call, several calls, no call, a text that explains or contains a call, or a repetition of a call in the prompt.
    """

    CALL = "call"
    SEVERAL = "several"
    NONE = "none"
    QUOTE = "quote"
    ECHO = "echo"


@dataclass(frozen=True)
class Prompt:
    """A prompt.

    Attributes:
        kind: see Kind.
        language: ISO 639-1 code.
        text: the user's message.
        calls: names of the tools to call.
    """

    kind: Kind
    language: str
    text: str
    calls: tuple[str, ...]


def read_prompts() -> tuple[tuple[Prompt, ...], tuple[Tool, ...]]:
    """The prompts and the tools."""
    content = json.loads(_FILE.read_text(encoding="utf-8"))
    prompts = (
        Prompt(Kind(each["kind"]), each["language"], each["prompt"], tuple(each["calls"]))
        for each in content["prompts"]
    )
    return tuple(prompts), tuple(Tool(**each) for each in content["tools"])
