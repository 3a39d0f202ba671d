"""The table of docs/tools.md: how many calls were recognised, missed and falsely taken, before and after."""

from __future__ import annotations

import re
from collections.abc import Sequence

from appliance.gateway.chat.request import Tool
from bench.markdown import table
from bench.tool_calls.answers import Answers, Written, called
from bench.tool_calls.prompts import Kind, Prompt, read_prompts

BEGIN = "<!-- bench: begin; written by `python -m bench tools --into PAGE`, not by hand -->"
_HEAD = ("model", "prompts", "number", "by marks alone", "recognised", "as expected", "missed", "no call written")
_TITLES = {
    Kind.CALL: "need one call",
    Kind.SEVERAL: "need several calls",
    Kind.NONE: "need no call",
    Kind.QUOTE: "ask about a call",
    Kind.ECHO: "ask to repeat a call",
}


def tool_table(measured: Sequence[Answers]) -> str:
    """The table; each row is a model and a kind of prompts."""
    prompts, tools = read_prompts()
    return table(_HEAD, [_row(answers, kind, prompts, tools) for answers in measured for kind in Kind])


def _row(answers: Answers, kind: Kind, prompts: Sequence[Prompt], tools: Sequence[Tool]) -> list[str]:
    pairs = [pair for pair in zip(prompts, answers.written, strict=True) if pair[0].kind is kind]
    marked = [called(answer, answers.dialect, tools, contents=[], unmarked=False) for _, answer in pairs]
    found = [called(answer, answers.dialect, tools, contents=[prompt.text]) for prompt, answer in pairs]
    expected = sum(sorted(names) == sorted(prompt.calls) for (prompt, _), names in zip(pairs, found, strict=True))
    names_tool = [_names_tool(answer, tools) for _, answer in pairs]
    missed = sum(is_named and not names for is_named, names in zip(names_tool, found, strict=True))
    none = sum(not is_named and not names for is_named, names in zip(names_tool, found, strict=True))
    numbers = [len(pairs), sum(map(bool, marked)), sum(map(bool, found)), expected, missed, none]
    return [answers.model, _TITLES[kind], *map(str, numbers)]


def _names_tool(answer: Written, tools: Sequence[Tool]) -> bool:
    """Whether the answer contains something like a call of an offered tool, anywhere."""
    names = "|".join(re.escape(tool.name) for tool in tools)
    return re.search(rf'"(?:name|function)"\s*:\s*"(?:{names})"', answer.text) is not None
