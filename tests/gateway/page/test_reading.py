"""Answers and questions on the screen: what stays while an answer grows, what is copied, which way text runs."""

from __future__ import annotations

import asyncio

from tests.gateway.fake_triton import piece, usage, words
from tests.gateway.page.browser import Browser
from tests.waiting import wait_until


def test_a_growing_answer_keeps_the_blocks_that_are_complete(page: Browser, harness):
    proceed = asyncio.Event()

    async def script(asked):
        yield piece("First **block**\n\n```py\na = 1\n", [1])
        await proceed.wait()
        yield piece("b = 2\n```\n\nLast", [2])
        yield piece("", [], finish="stop", usage=usage(asked, 2))

    harness.triton.script = script
    page.ask("Hello")
    page.wait_for(".answer .code", "a = 1")
    page.script("window.kept = [...document.querySelectorAll('.answer .text > *')]")
    harness.run(_set(proceed))
    page.wait_answered(1)
    assert page.texts(".answer .text > p") == ["First block", "Last"]
    assert page.texts(".answer code") == ["a = 1\nb = 2"]
    same = (
        "const now = document.querySelectorAll('.answer .text > *'); return window.kept.every((n, i) => n === now[i])"
    )
    assert page.script("return window.kept.length") == 2
    assert page.script(same)


async def _set(event: asyncio.Event) -> None:
    event.set()


def test_code_is_copied_from_its_button_and_an_answer_as_markdown(page: Browser, harness):
    harness.triton.script = words("Do **this**:\n\n```sh\nls -l\n```\n")
    page.ask("Hello")
    page.wait_answered(1)
    grant = {"origin": harness.url, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    page.driver.execute_cdp_cmd("Browser.grantPermissions", grant)
    read = "navigator.clipboard.readText().then(arguments[0])"
    page.find(".code button").click()
    wait_until(lambda: page.script("return Boolean(document.querySelector('.code .icon.check'))"))
    assert page.driver.execute_async_script(read) == "ls -l"
    page.press(".answer .actions button")
    assert page.driver.execute_async_script(read) == "Do **this**:\n\n```sh\nls -l\n```\n"


def test_what_is_written_from_right_to_left_is_laid_out_so_and_code_is_not(page: Browser, harness):
    hebrew, arabic = "\N{HEBREW LETTER SHIN}\N{HEBREW LETTER LAMED}", "\N{ARABIC LETTER MEEM}\N{ARABIC LETTER REH}"
    answer = f"<think>\n{hebrew}\n</think>\n\n{hebrew}, `x = 1`\nHello\n\n- {hebrew}\n\n```\n{hebrew}\n```\n\n{arabic}"
    harness.triton.script = words(answer)
    page.script("document.getElementById('model').value = 'tiny-talker'")
    page.ask(hebrew)
    page.wait_answered(1)
    page.script("document.querySelector('.thinking').open = true")
    directions = """
        return [...document.querySelectorAll(arguments[0])].map((node) => getComputedStyle(node).direction)
    """
    assert page.script(directions, ".asked .typed, .thoughts, .answer .text > :not(.code)") == ["rtl"] * 5
    assert page.script(directions, ".answer code, .code .top") == ["ltr"] * 3
    # A line of Latin letters within is laid out from the left.
    places = """
        const prose = document.querySelector(".answer .text > p");
        const latin = [...prose.childNodes].find((node) => node.data?.includes("Hello"));
        const range = document.createRange();
        const start = latin.data.indexOf("Hello");
        range.setStart(latin, start);
        range.setEnd(latin, start + 5);
        return [range.getBoundingClientRect().left, prose.getBoundingClientRect().left];
    """
    latin, edge = page.script(places)
    assert abs(latin - edge) < 1
    # A cell stands where its table puts it, whatever its letters are.
    harness.triton.script = words(f"| {hebrew} | Latin |\n|---|---|\n| {hebrew} | {hebrew} |")
    page.put(hebrew)
    page.wait_answered(2)
    ends = """
        const range = document.createRange();
        return [...document.querySelectorAll(".answer :is(th, td):nth-child(2)")].map((cell) => {
          range.selectNodeContents(cell);
          return Math.round(cell.getBoundingClientRect().right - range.getBoundingClientRect().right);
        });
    """
    assert len(set(page.script(ends))) == 1
    page.find("#question").click()
    page.type(hebrew)
    assert page.script(directions, "#question") == ["rtl"]


def test_pasted_code_is_put_into_a_fence(page: Browser):
    paste = """
        const pasted = new DataTransfer();
        for (const [type, text] of Object.entries(arguments[0])) pasted.setData(type, text);
        const field = document.getElementById("question");
        const event = new ClipboardEvent("paste", {clipboardData: pasted, bubbles: true, cancelable: true});
        field.dispatchEvent(event);
        return [event.defaultPrevented, field.value];
    """
    page.type("Why?")
    html = "<div style='font-family: Menlo, monospace'>x</div>"
    assert page.script(paste, {"text/plain": "if x:\r\n    y()\r\n", "text/html": html}) == [
        True,
        "Why?\n```\nif x:\n    y()\n```\n",
    ]
    # A single line, and text of a page, stay with the browser.
    assert page.script(paste, {"text/plain": "x = 1", "text/html": html})[0] is False
    assert page.script(paste, {"text/plain": "a\nb", "text/html": "<p>a</p><p>b</p>"})[0] is False
