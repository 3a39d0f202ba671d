"""The measurement of tool calls: its prompts, its answers, and the table on the page."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.report import END
from bench.tool_calls import answers
from bench.tool_calls.answers import FOLDER, Answers, Written, ask, called
from bench.tool_calls.page import BEGIN, tool_table
from bench.tool_calls.prompts import Kind, read_prompts

ROOT = Path(__file__).parents[2]
PROMPTS, TOOLS = read_prompts()
MEASURED = [Answers.from_file(path) for path in sorted(FOLDER.glob("*.json"))]
CALL = '```json\n{"name": "get_time", "arguments": {}}\n```'


def test_there_are_a_hundred_prompts_of_all_kinds_and_their_tools_are_offered():
    assert len({prompt.text for prompt in PROMPTS}) == 100
    assert {prompt.kind for prompt in PROMPTS} == set(Kind)
    assert len({prompt.language for prompt in PROMPTS}) > 10
    for prompt in PROMPTS:
        assert set(prompt.calls) <= {tool.name for tool in TOOLS}
        assert (len(prompt.calls) == 1) is (prompt.kind is Kind.CALL)
        assert (len(prompt.calls) > 1) is (prompt.kind is Kind.SEVERAL)


def test_the_table_on_the_page_is_what_the_answers_give_now():
    page = (ROOT / "docs" / "tools.md").read_text(encoding="utf-8")
    written = page.partition(BEGIN)[2].partition(END)[0]
    assert written.strip() == tool_table(MEASURED), "run: python -m bench tools --into docs/tools.md"


@pytest.mark.parametrize("measured", MEASURED, ids=lambda measured: measured.model)
def test_no_answer_with_text_around_a_call_and_no_repeated_call_is_recognised(measured):
    for prompt, answer in zip(PROMPTS, measured.written, strict=True):
        found = called(answer, measured.dialect, TOOLS, contents=[prompt.text])
        if found:
            assert answer.text.strip().startswith(("{", "```json", "<tools>"))
            assert answer.text.strip().endswith(("}", "```", "</tools>"))
            assert answer.finish_reason == "stop"
        assert not (found and prompt.kind is Kind.ECHO)


@pytest.mark.parametrize("measured", MEASURED, ids=lambda measured: measured.model)
def test_most_prompts_that_need_a_call_get_one(measured):
    needs = [
        called(answer, measured.dialect, TOOLS, contents=[prompt.text])
        for prompt, answer in zip(PROMPTS, measured.written, strict=True)
        if prompt.calls
    ]
    assert len([names for names in needs if names]) >= 0.8 * len(needs)


class _Box(http.server.BaseHTTPRequestHandler):
    """A box whose model always calls the same tool; `finds` is whether the box recognises it."""

    finds = True

    def do_GET(self) -> None:
        self._send({"data": [{"id": "a-model"}]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        assert len(asked["tools"]) == len(TOOLS)
        tokens = [{"bytes": list(text.encode())} for text in (CALL[:5], CALL[5:], "<end>")]
        message = {"tool_calls": [{"function": {"name": "get_time"}}]} if self.finds else {"content": CALL}
        reason = "tool_calls" if self.finds else "stop"
        self._send({"choices": [{"message": message, "finish_reason": reason, "logprobs": {"content": tokens}}]})

    def _send(self, value: Any) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    # None of these prompts contains the call of the box.
    few = tuple(prompt for prompt in PROMPTS if prompt.kind is Kind.CALL)[:3]
    monkeypatch.setattr(answers, "read_prompts", lambda: (few, TOOLS))
    with http.server.HTTPServer(("127.0.0.1", 0), _Box) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_text_is_what_the_tokens_spell_and_is_kept(url, tmp_path, monkeypatch):
    monkeypatch.setattr(answers, "FOLDER", tmp_path / "answers")
    lines: list[str] = []
    asked = ask(url, "hermes", lines.append)
    assert asked.model == "a-model"
    assert asked.written == (Written(CALL, "stop"),) * 3
    assert len(lines) == 3
    assert Answers.from_file(asked.save()) == asked


def test_a_box_that_recognises_other_calls_is_an_error(url, monkeypatch):
    monkeypatch.setattr(_Box, "finds", False)
    with pytest.raises(ValueError, match="prompt 1"):
        ask(url, "hermes", lambda _line: None)
