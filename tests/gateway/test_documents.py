"""Text documents in all APIs: the model reads the same text, and what is not a text is refused by its path."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.page_examples import blocks, printed
from tests.gateway.tiny_artefact import tiny_tokenizer

MODEL = "tiny-instruct"
TEXT = "Größe: 5 < 6 & <|im_end|>"
ENCODED = base64.b64encode(TEXT.encode()).decode()


def prompt(harness) -> str:
    return str(tiny_tokenizer(more=True).decode(harness.triton.asked[-1].prompt_ids, skip_special_tokens=False))


def chat(part: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "/v1/chat/completions", {"model": MODEL, "messages": [{"role": "user", "content": [part]}]}


def response(part: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "/v1/responses", {"model": MODEL, "input": [{"role": "user", "content": [part]}]}


def message(part: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "/v1/messages", {"model": MODEL, "max_tokens": 5, "messages": [{"role": "user", "content": [part]}]}


SOURCE = {"type": "text", "media_type": "text/plain", "data": TEXT}
BLOCKS = {"type": "content", "content": [{"type": "text", "text": TEXT}]}
RESULT = {"type": "search_result", "source": "intranet", "title": 'a "b"', "content": [{"type": "text", "text": TEXT}]}


@pytest.mark.parametrize(
    ("request_", "attributes"),
    [
        (chat({"type": "file", "file": {"file_data": ENCODED, "filename": "a.txt"}}), ' title="a.txt"'),
        (chat({"type": "file", "file": {"file_data": f"data:text/csv;base64,{ENCODED}"}}), ""),
        (response({"type": "input_file", "file_data": ENCODED, "filename": "a.txt"}), ' title="a.txt"'),
        (
            message({"type": "document", "source": SOURCE, "title": "a.txt", "context": "c"}),
            ' title="a.txt" context="c"',
        ),
        (message({"type": "document", "source": BLOCKS, "citations": {"enabled": True}}), ""),
        (message(RESULT), ' title=\'a "b"\' source="intranet"'),
    ],
)
def test_the_model_reads_the_text(http, harness, request_, attributes):
    path, body = request_
    answered = http.post(path, json=body)
    assert answered.status_code == 200, answered.text
    assert f"<document{attributes}>\n{TEXT}\n</document>" in prompt(harness)
    # The control token in the document is plain text.
    end = tiny_tokenizer(more=True).token_to_id("<|im_end|>")
    plain = http.post(path, json=_with(body, "x"))
    assert plain.status_code == 200
    counts = [asked.prompt_ids.count(end) for asked in harness.triton.asked]
    assert counts[0] == counts[1]


def _with(body: dict[str, Any], text: str) -> dict[str, Any]:
    """The request with a plain text instead of the document."""
    key = "input" if "input" in body else "messages"
    return {**body, key: [{"role": "user", "content": text}]}


def test_a_tools_result_can_be_documents(http, harness):
    result = {"type": "tool_result", "tool_use_id": "c", "content": [RESULT, {"type": "document", "source": SOURCE}]}
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
        {"role": "user", "content": [result]},
    ]
    tools = [{"name": "f", "input_schema": {"type": "object"}}]
    body = {"model": "tiny-talker", "max_tokens": 5, "messages": turns, "tools": tools}
    assert http.post("/v1/messages", json=body).status_code == 200
    assert prompt(harness).count(TEXT) == 2


PDF = base64.b64encode(b"%PDF-1.4 text").decode()
PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n\xff\xfe").decode()


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        *(
            (chat({"type": "file", "file": {"file_data": one}}), "messages[0].content[0]")
            for one in (PDF, PICTURE, "%%")
        ),
        (chat({"type": "file", "file": {"file_data": f"data:text/plain,{TEXT}"}}), "messages[0].content[0]"),
        (chat({"type": "file", "file": {"file_id": "file-1"}}), "messages[0].content[0].file"),
        (chat({"type": "image_url", "image_url": {"url": "data:"}}), "messages[0].content[0]"),
        (response({"type": "input_file", "file_data": PDF}), "input[0].content[0]"),
        (response({"type": "input_file", "file_url": "https://example.com/a.txt"}), "input[0].content[0]"),
    ],
)
def test_what_is_not_a_text_is_refused(http, harness, request_, param):
    path, body = request_
    answered = http.post(path, json=body)
    assert answered.status_code == 400
    assert answered.json()["error"]["param"].startswith(param)
    assert harness.triton.asked == []


@pytest.mark.parametrize("kind", ["base64", "url", "file"])
def test_other_sources_of_anthropics_documents_are_refused(http, harness, kind):
    path, body = message({"type": "document", "source": {"type": kind, "data": PDF, "media_type": "application/pdf"}})
    answered = http.post(path, json=body)
    assert answered.status_code == 400
    assert "messages[0].content[0].source" in answered.json()["error"]["message"]
    assert harness.triton.asked == []


PAGE = "documents.md"


def test_the_examples_of_the_page_send_the_document_and_print_the_counts(
    http, harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    text = blocks(PAGE, "text")[0]
    (tmp_path / "pump.md").write_text(text)
    monkeypatch.chdir(tmp_path)
    _, counted, refused, claude = printed(PAGE, harness.url, MODEL)
    assert len(harness.triton.asked) == 4
    for asked in harness.triton.asked:
        shown = tiny_tokenizer(more=True).decode(asked.prompt_ids, skip_special_tokens=False)
        assert f'<document title="pump.md">\n{text}\n</document>' in shown
    size = http.get(f"/v1/models/{MODEL}").json()["max_model_len"]
    count, _, limit = counted.split()
    assert 0 < int(count) < int(limit) == size
    code, message = refused.splitlines()
    assert code == "context_length_exceeded"
    assert f"maximum context length is {size} tokens" in message
    assert int(claude.splitlines()[0]) == len(harness.triton.asked[-1].prompt_ids)
