"""Questions and answers at `/` in a real browser: streamed, stopped, continued as a conversation."""

from __future__ import annotations

import asyncio

import pytest
from selenium.webdriver.common.keys import Keys

from tests.gateway.fake_triton import piece, silent_after, usage, words
from tests.gateway.page.browser import Browser, Open
from tests.waiting import wait_until


def test_an_answer_is_streamed_into_the_page(page: Browser, harness):
    proceed = asyncio.Event()

    async def script(asked):
        yield piece("First", [1])
        await proceed.wait()
        yield piece(" and last", [2])
        yield piece("", [], finish="stop", usage=usage(asked, 2))

    harness.triton.script = script
    page.ask("Say something")
    page.wait_for(".answer .text", "First")
    assert "last" not in page.text(".answer .text")
    assert page.find("#send").get_attribute("aria-label") == "Stop the answer"
    assert page.find(".answer").get_attribute("aria-busy") == "true"
    harness.run(_set(proceed))
    page.wait_for(".answer .note", "2 tokens")
    assert page.texts(".asked .text") == ["Say something"]
    assert page.texts(".answer .text") == ["First and last"]
    assert page.text("#used").endswith("% of the context used")
    assert page.find("#send").get_attribute("aria-label") == "Send"
    assert page.focused == "question"


async def _set(event: asyncio.Event) -> None:
    event.set()


@pytest.mark.parametrize("how", ["button", "escape"])
def test_stop_ends_the_answer_in_the_engine_and_keeps_what_came(page: Browser, harness, how):
    # Not endless: what came goes into the next prompt, and the context has its end.
    harness.triton.script = silent_after("word ", "word ")
    cancelled = harness.triton.cancelled
    page.ask("Go on for ever")
    page.wait_for(".answer .text", "word word")
    if how == "button":
        page.find("#send").click()
    else:
        page.type(Keys.ESCAPE)
    page.wait_for(".answer .note", "stopped")
    wait_until(lambda: harness.triton.running == 0)
    assert harness.triton.cancelled == cancelled + 1
    assert page.find("#send").get_attribute("aria-label") == "Send"
    assert not page.find("#error").is_displayed()
    # What came is part of the conversation.
    harness.triton.script = words("Good")
    page.find("#question").send_keys("Enough", Keys.ENTER)
    page.wait_for(".answer .text", "Good")
    assert len(page.texts(".turn")) == 4


def test_a_conversation_is_sent_as_a_whole_and_a_new_one_starts_empty(page: Browser, harness):
    harness.triton.script = words("Hello")
    for question in ("One", "Two"):
        page.ask(question)
        page.wait_answered(1 if question == "One" else 2)
    prompts = [len(asked.prompt_ids) for asked in harness.triton.asked]
    page.find("#new").click()
    assert page.texts(".turn") == []
    assert page.focused == "question"
    page.ask("One")
    page.wait_for(".note", "1 token")
    again = len(harness.triton.asked[2].prompt_ids)
    assert again == prompts[0] < prompts[1]


def test_a_new_conversation_ends_the_answer_under_way_and_takes_nothing_of_it(page: Browser, harness):
    harness.triton.script = silent_after("word ", "word ")
    page.ask("Go on for ever")
    page.wait_for(".answer .text", "word word")
    page.find("#new").click()
    wait_until(lambda: harness.triton.running == 0)
    harness.triton.script = words("Fresh")
    page.ask("Start")
    page.wait_for(".answer .text", "Fresh")
    assert page.texts(".answer .text") == ["Fresh"]


def test_the_page_asks_its_own_origin_alone_and_looks_up_no_host(open_page: Open, harness):
    page = open_page()
    page.wait_ready()
    harness.triton.script = words("[a](https://evil.example/a) ![b](https://evil.example/b.png) https://evil.example/c")
    page.ask("Hello")
    page.wait_answered(1)
    assert len(page.texts(".answer a")) == 3
    assert page.strangers(harness.url) == []
    assert page.script("return fetch('/').then((page) => page.headers.get('x-dns-prefetch-control'))") == "off"


def test_status_and_limits_are_of_the_chosen_model(page: Browser):
    assert page.texts("#model option") == ["tiny-instruct", "tiny-base", "tiny-talker"]
    assert page.text("#box-status") == "Ready"
    assert page.text("#box-model") == "tiny-instruct"
    assert page.text("#box-context").startswith("512 tokens")
    page.find("#model").send_keys("tiny-talker")
    page.wait_for("#box-model", "tiny-talker")
    assert page.text("#box-context").startswith("4,096 tokens")
    # A model without a chat template is no choice.
    assert page.script("return [...document.querySelectorAll('#model option')].map((one) => one.disabled)") == [
        False,
        True,
        False,
    ]
