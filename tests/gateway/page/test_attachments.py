"""Text files in a question: read, counted, sent, and refused when they are no text or too long."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from tests.gateway.page.browser import Browser
from tests.gateway.page.test_turns import prompt
from tests.waiting import wait_until

_DROP = """
const files = new DataTransfer();
files.items.add(new File([arguments[0]], arguments[1]));
for (const name of ["dragover", "drop"]) {
  document.body.dispatchEvent(new DragEvent(name, {dataTransfer: files, bubbles: true, cancelable: true}));
}
"""


def test_a_file_is_counted_sent_in_a_fence_and_shown_by_its_name(page: Browser, harness, tmp_path: Path):
    file = tmp_path / "notes.md"
    file.write_text("One\n```\ntwo\n```\n")
    page.find("#picker").send_keys(str(file))
    page.wait_for("#files .chip", "notes.md")
    assert page.text("#files .soft") == "16 tokens"
    page.put("Sum it up")
    page.wait_answered(1)
    content = "notes.md:\n````\nOne\n```\ntwo\n```\n````\n\nSum it up"
    assert f"user\n{content}<|im_end|>" in prompt(harness.triton.asked[-1])
    assert page.texts(".asked .chip .name") == ["notes.md"]
    assert page.texts(".asked .text") == ["Sum it up"]
    assert page.texts("#files .chip") == []
    page.find(".asked summary").click()
    assert page.find(".asked .chip pre").text.startswith("One")
    # They stay with the question when it is edited.
    page.press(".asked [data-label=edit]")
    assert page.texts(".editor .chip .name") == ["notes.md"]
    page.type(" again", Keys.ENTER)
    wait_until(lambda: len(harness.triton.asked) == 2)
    page.wait_answered(1)
    assert f"user\n{content} again<|im_end|>" in prompt(harness.triton.asked[-1])


def test_a_dropped_file_is_attached_and_can_be_removed(page: Browser):
    page.script(_DROP, "x = 1", "a.py")
    page.wait_for("#files .chip", "a.py")
    page.find("#files button").click()
    assert page.texts("#files .chip") == []
    assert page.focused == "question"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0", "not a text file"),
        (b"", "is empty"),
        (b"x" * 600, "600 tokens. The model reads at most 512"),
        (b"x" * 200_000, "does not fit: the model reads at most 512"),
        (b" " * (5 << 20), "too large (5 MiB)"),
    ],
    ids=["binary", "empty", "too many tokens", "far too many tokens", "too many bytes"],
)
def test_what_cannot_be_attached_is_named_with_the_reason(page: Browser, tmp_path: Path, content, why):
    file = tmp_path / "given.bin"
    file.write_bytes(content)
    page.find("#picker").send_keys(str(file))
    page.wait_for("#error-text", "given.bin")
    assert why in page.text("#error-text")
    assert page.texts("#files .chip") == []


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a\r\nü".encode(), "a\nü"),
        ("\ufeffü".encode(), "ü"),
        ("für".encode("cp1252"), "für"),
        ("ü".encode("utf-16"), "ü"),
    ],
    ids=["utf-8", "mark", "windows", "utf-16"],
)
def test_the_encodings_of_offices_are_read(page: Browser, harness, tmp_path: Path, content, text):
    file = tmp_path / "a.csv"
    file.write_bytes(content)
    page.find("#picker").send_keys(str(file))
    page.wait_for("#files .chip", "a.csv")
    page.put("?")
    page.wait_answered(1)
    assert f"```\n{text}\n```" in prompt(harness.triton.asked[-1])


def test_a_question_that_was_not_answered_keeps_its_files(page: Browser, tmp_path: Path):
    file = tmp_path / "a.txt"
    file.write_text("x" * 400)
    page.find("#picker").send_keys(str(file))
    page.wait_for("#files .chip", "a.txt")
    page.put("y" * 300)
    page.wait_for("#error-text", "too long")
    wait_until(lambda: page.texts("#files .name") == ["a.txt"])
    assert page.value("#question") == "y" * 300
