"""A model's answers to the prompts: asked at a running box, kept in files, and read again by the gateway's readers."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from appliance.gateway.chat.dialect import Dialect
from appliance.gateway.chat.parts import ToolCall
from appliance.gateway.chat.reader import Reader
from appliance.gateway.chat.request import Tool
from appliance.gateway.chat.unmarked import UnmarkedCalls
from appliance.gateway.triton.completion import Delta
from bench.tool_calls.prompts import Prompt, read_prompts

FOLDER = Path(__file__).with_name("answers")
_MAX_TOKENS = 256
_TIMEOUT_S = 600


@dataclass(frozen=True)
class Written:
    """One answer as the model wrote it.

    Attributes:
        text: the text, marks included.
        finish_reason: "stop" or "length".
    """

    text: str
    finish_reason: str


@dataclass(frozen=True)
class Answers:
    """The answers of one model, in the order of the prompts.

    Attributes:
        model: its name.
        measured_at: date of the run.
        dialect: the format of its tool calls, as in its manifest.
        written: the answers.
    """

    model: str
    measured_at: str
    dialect: str
    written: tuple[Written, ...]

    @classmethod
    def from_file(cls, path: Path) -> Answers:
        """Read a file that `save` wrote."""
        fields = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**fields, "written": tuple(Written(**each) for each in fields["written"])})

    def save(self) -> Path:
        """Write the answers into FOLDER."""
        FOLDER.mkdir(exist_ok=True)
        path = FOLDER / f"{self.model}.json"
        path.write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        return path


def ask(url: str, dialect: str, say: Callable[[str], None]) -> Answers:
    """Send every prompt to the box at `url`, which serves one model, with temperature 0.

    Raises:
        OSError: the box does not answer, or rejects a request.
        ValueError: the box found other calls in an answer than this code does.
    """
    model = _get(f"{url}/v1/models")["data"][0]["id"]
    prompts, tools = read_prompts()
    written = []
    for number, prompt in enumerate(prompts, 1):
        choice = _get(f"{url}/v1/chat/completions", _request(model, prompt, tools))["choices"][0]
        answer = _written(choice)
        written.append(answer)
        found = [call["function"]["name"] for call in choice["message"].get("tool_calls") or ()]
        if found != called(answer, dialect, tools, contents=[prompt.text]):
            raise ValueError(f"prompt {number}: the box found the calls {found} in {answer.text!r}")
        say(f"{number} of {len(prompts)}: {', '.join(found) or 'text'}")
    return Answers(model, f"{datetime.now(timezone.utc):%Y-%m-%d}", dialect, tuple(written))


def called(
    answer: Written, dialect: str, tools: Sequence[Tool], *, contents: Sequence[str], unmarked: bool = True
) -> list[str]:
    """The names of the tools that an answer calls, as the gateway reads it.

    Args:
        answer: the answer.
        dialect: the format of the model's calls.
        tools: the offered tools.
        contents: the user's messages.
        unmarked: whether calls without marks are recognised.
    """
    recogniser = UnmarkedCalls(tools, several=True, contents=contents) if unmarked else None
    piece = Reader(Dialect(dialect), tools, unmarked=recogniser).read(
        Delta(answer.text, finish_reason=answer.finish_reason)
    )
    return [part.name for part in piece.parts if isinstance(part, ToolCall)]


def _request(model: str, prompt: Prompt, tools: Sequence[Tool]) -> Mapping[str, Any]:
    functions = [{"name": tool.name, "description": tool.description, "parameters": tool.parameters} for tool in tools]
    return {
        "model": model,
        "messages": [{"role": "user", "content": prompt.text}],
        "tools": [{"type": "function", "function": function} for function in functions],
        "temperature": 0,
        "max_tokens": _MAX_TOKENS,
        "logprobs": True,
    }


def _written(choice: Mapping[str, Any]) -> Written:
    """The answer's tokens contain the text before any call was recognised, and the token that ends the turn."""
    is_cut = choice["finish_reason"] == "length"
    tokens = choice["logprobs"]["content"]
    content = b"".join(bytes(token["bytes"]) for token in (tokens if is_cut else tokens[:-1]))
    return Written(content.decode("utf-8", "replace"), "length" if is_cut else "stop")


def _get(url: str, content: Mapping[str, Any] | None = None) -> Any:
    sent = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(url, sent, {"content-type": "application/json"})  # noqa: S310 - the user's URL
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
        return json.load(response)
