"""Errors of the API in the page: one clear line, a way on, and nothing lost."""

from __future__ import annotations

import asyncio
import json

from appliance.gateway.access.account import Limits
from appliance.gateway.access.door import DoorLimits
from tests.gateway.fake_triton import failure, piece, refusal, usage, words
from tests.gateway.page.browser import Browser, Open
from tests.waiting import wait_until


def test_a_context_that_is_full_offers_a_new_conversation_and_the_question_comes_back(page: Browser, harness):
    harness.triton.script = words("Yes")
    page.ask("Hello")
    page.wait_answered(1)
    page.put("x" * 600)
    page.wait_for("#error-text", "too long")
    assert page.value("#question") == "x" * 600
    assert page.texts(".asked .text") == ["Hello"]
    assert page.text("#error-way") == "New conversation"
    page.find("#error-way").click()
    assert page.texts(".turn") == []
    # Both are still there: the question in its field, the conversation in the list.
    assert page.value("#question") == "x" * 600
    assert page.texts(".conversation bdi") == ["Hello"]


def test_a_box_that_is_busy_offers_to_try_again(page: Browser, harness):
    harness.triton.script = refusal("OverloadedError: the queue is full (try again later)")
    page.ask("Hello")
    page.wait_for("#error-text", "busy. Try again in 1 s")
    assert page.value("#question") == "Hello"
    assert page.texts(".turn") == []
    assert page.find("#empty").is_displayed()
    harness.triton.script = words("Here")
    page.find("#error-way").click()
    page.wait_for(".answer .text", "Here")
    assert page.texts(".asked .text") == ["Hello"]
    assert not page.find("#error").is_displayed()


def test_a_limit_of_the_person_says_when_it_ends(open_page: Open, make_harness):
    limits = DoorLimits(principal=Limits("this principal", requests_per_minute=2))
    page = open_page(make_harness(limits=limits).url)
    page.wait_ready()
    for count in range(3):
        page.put(f"Question {count}")
        if count < 2 and not page.find("#error").is_displayed():
            page.wait_answered(count + 1)
    page.wait_for("#error-text", "limit of this box. Try again in")


def test_an_answer_that_breaks_off_is_kept_and_said_to_be_broken(page: Browser, harness):
    async def script(_asked):
        yield piece("Half of", [1])
        yield failure("the engine failed")

    harness.triton.script = script
    page.ask("Hello")
    page.wait_for(".answer .note", "incomplete")
    assert page.texts(".answer .text") == ["Half of"]
    assert page.find("#error").is_displayed()


def test_a_box_that_is_gone_is_said_to_be_gone(open_page: Open, make_harness):
    harness = make_harness()
    page = open_page(harness.url)
    page.wait_ready()
    harness.drain()
    page.ask("Hello")
    page.wait_for("#error-text", "does not answer")
    page.wait_for("#status-text", "No answer")
    assert page.value("#question") == "Hello"


def test_a_box_that_is_not_ready_says_what_it_waits_for(open_page: Open, make_harness):
    harness = make_harness()
    harness.triton.ready = False
    page = open_page(harness.url)
    page.wait_for("#status-text", "Not ready")
    assert "tiny-instruct" in page.text("#box-status")
    harness.triton.ready = True
    page.wait_for("#status-text", "Ready")


def test_signs_of_life_before_the_first_token_are_no_text(open_page: Open, make_harness):
    harness = make_harness(stream_ping_s=0.05)
    proceed = asyncio.Event()

    async def script(asked):
        await proceed.wait()
        yield piece("Hello", [1])
        yield piece("", [], finish="stop", usage=usage(asked, 1))

    harness.triton.script = script
    page = open_page(harness.url)
    page.wait_ready()
    page.ask("Hello")
    wait_until(lambda: page.texts(".answer.waiting"))
    harness.run(asyncio.sleep(0.3))
    assert page.texts(".answer .text") == [""]
    harness.run(_set(proceed))
    page.wait_answered(1)
    assert page.texts(".answer .text") == ["Hello"]


async def _set(event: asyncio.Event) -> None:
    event.set()


def test_comments_and_other_fields_in_a_stream_are_skipped(page: Browser):
    chunk = json.dumps({"choices": [{"delta": {"content": "Hi"}}]})
    stream = f": wait\r\n\r\n:\n\nevent: x\nid: 1\ndata: {chunk}\n\n: again\n\nretry: 1\n\n"
    stream += f"data:{chunk}\r\n\r\ndata: [DONE]\n\n"
    script = """
        const [pieces, done] = arguments;
        const original = window.fetch;
        window.fetch = async () => new Response(new ReadableStream({
          start(control) {
            for (const piece of pieces) control.enqueue(new TextEncoder().encode(piece));
            control.close();
          },
        }));
        import("/page/api.js").then(async ({ chat }) => {
          const found = [];
          for await (const part of chat({})) found.push(part.text);
          window.fetch = original;
          done(found);
        });
    """
    for size in (1, 7, len(stream)):
        pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
        assert page.driver.execute_async_script(script, pieces) == ["Hi", "Hi"]
