"""What a person does with a question and its answer: edit, regenerate, continue, delete; from the keyboard too."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.keys import Keys

from tests.gateway.fake_triton import Asked, refusal, silent_after, words
from tests.gateway.page.browser import Browser
from tests.gateway.tiny_artefact import tiny_tokenizer
from tests.waiting import wait_until


def prompt(asked: Asked) -> str:
    """The text of a prompt, with its control tokens."""
    return str(tiny_tokenizer().decode(list(asked.prompt_ids), skip_special_tokens=False))


@pytest.fixture
def talk(page: Browser, harness) -> Browser:
    """A page with two questions and answers."""
    for number, name in enumerate(("One", "Two"), 1):
        harness.triton.script = words(f"Answer {number}")
        page.put(name)
        page.wait_answered(number)
    return page


def test_an_edited_question_is_asked_again_and_what_came_later_goes_after_a_warning(talk: Browser, harness):
    talk.press(".asked [data-label=edit]")
    wait_until(lambda: talk.script("return document.activeElement.value") == "One")
    talk.type(Keys.END, " and a half", Keys.ENTER)
    wait_until(lambda: talk.find("#confirm").is_displayed())
    assert "deleted: 1" in talk.text("#confirm-question")
    harness.triton.script = words("Another")
    talk.find("#confirm-agree").click()
    talk.wait_for(".answer .text", "Another")
    talk.wait_answered(1)
    assert talk.texts(".asked .text") == ["One and a half"]
    assert talk.focused == "question"
    assert "Two" not in prompt(harness.triton.asked[-1])


def test_an_edit_that_is_given_up_changes_nothing(talk: Browser, harness):
    talk.press(".asked [data-label=edit]")
    wait_until(lambda: talk.script("return document.activeElement.localName") == "textarea")
    talk.type("X", Keys.ESCAPE)
    assert talk.texts(".asked .text") == ["One", "Two"]
    talk.press(".asked [data-label=edit]")
    wait_until(lambda: talk.script("return document.activeElement.localName") == "textarea")
    talk.type(Keys.ENTER)
    wait_until(lambda: talk.find("#confirm").is_displayed())
    talk.type(Keys.ESCAPE)
    wait_until(lambda: not talk.find("#confirm").is_displayed())
    assert len(harness.triton.asked) == 2
    assert talk.texts(".answer .text") == ["Answer 1", "Answer 2"]


def test_the_last_answer_is_given_again(talk: Browser, harness):
    harness.triton.script = words("Better")
    talk.press(".exchange:last-child [data-label=regenerate]")
    talk.wait_for(".answer .text", "Better")
    talk.wait_answered(2)
    assert talk.texts(".answer .text") == ["Answer 1", "Better"]
    assert prompt(harness.triton.asked[-1]) == prompt(harness.triton.asked[-2])


def test_an_answer_that_cannot_be_given_again_stays(talk: Browser, harness):
    harness.triton.script = refusal("broken")
    talk.press(".exchange:last-child [data-label=regenerate]")
    talk.wait_for("#error-text", "refused")
    assert talk.texts(".answer .text") == ["Answer 1", "Answer 2"]


def test_a_stopped_answer_is_continued_where_it_ended(page: Browser, harness):
    harness.triton.script = silent_after("Once upon ")
    page.ask("Tell")
    page.wait_for(".answer .text", "Once upon")
    page.type(Keys.ESCAPE)
    page.wait_for(".note", "stopped")
    harness.triton.script = words(" a time")
    page.find(".carry-on").click()
    page.wait_for(".answer .text", "a time")
    page.wait_answered(1)
    assert page.texts(".answer .text") == ["Once upon a time"]
    assert prompt(harness.triton.asked[-1]).endswith("<|im_start|>assistant\nOnce upon")
    # A complete answer has no end to continue from.
    assert not page.find(".carry-on").is_displayed()


def test_an_answer_of_the_maximum_length_says_so(page: Browser, harness):
    harness.triton.script = words("Long", finish="length")
    page.ask("Tell")
    page.wait_for(".note", "maximum length")
    assert page.find(".carry-on").is_displayed()


def test_a_question_is_deleted_with_its_answer(talk: Browser, harness):
    talk.press(".asked [data-label=delete_exchange]")
    wait_until(lambda: talk.find("#confirm").is_displayed())
    # Enter on what has the focus first is no consent.
    talk.type(Keys.ENTER)
    wait_until(lambda: not talk.find("#confirm").is_displayed())
    assert talk.texts(".asked .text") == ["One", "Two"]
    talk.press(".asked [data-label=delete_exchange]")
    talk.agree()
    wait_until(lambda: talk.texts(".asked .text") == ["Two"])
    talk.put("Three")
    talk.wait_answered(2)
    assert "One" not in prompt(harness.triton.asked[-1])


def test_settings_of_the_conversation_reach_the_model(page: Browser, harness):
    page.find("#settings-open").click()
    page.find("#system").send_keys("Be brief")
    page.find("#temperature").send_keys("0.3")
    page.find("#max-tokens").send_keys("7")
    page.type(Keys.ESCAPE)
    page.put("Hello")
    page.wait_answered(1)
    asked = harness.triton.asked[-1]
    assert "system\nBe brief<|im_end|>" in prompt(asked)
    assert (asked.sampling["temperature"], asked.sampling["max_tokens"]) == (0.3, 7)
    # A new conversation has the same settings, until the person resets them.
    page.find("#new").click()
    page.find("#settings-open").click()
    assert page.value("#system") == "Be brief"
    page.find("#settings-reset").click()
    page.type(Keys.ESCAPE)
    page.put("Hello")
    page.wait_answered(1)
    assert "Be brief" not in prompt(harness.triton.asked[-1])
    assert harness.triton.asked[-1].sampling["temperature"] == 0.7


def test_thinking_can_be_switched_for_models_that_have_the_switch(page: Browser, harness):
    page.find("#settings-open").click()
    assert not page.find("#thinking").is_displayed()
    page.type(Keys.ESCAPE)
    page.find("#model").send_keys("tiny-talker")
    page.find("#settings-open").click()
    page.find("#thinking").send_keys("off")
    page.type(Keys.ESCAPE)
    page.put("Hello")
    page.wait_answered(1)
    assert harness.triton.asked[-1].model == "tiny-talker"
    text = tiny_tokenizer(more=True).decode(list(harness.triton.asked[-1].prompt_ids), skip_special_tokens=False)
    assert text.endswith("<think>\n\n</think>\n\n")


def test_thoughts_are_folded(page: Browser, harness):
    page.find("#model").send_keys("tiny-talker")
    harness.triton.script = words("<think>\nHm\n</think>\n\n", "Yes")
    page.put("Hello")
    page.wait_answered(1)
    assert page.texts(".answer .text") == ["Yes"]
    assert not page.find(".thoughts").is_displayed()
    page.find(".thinking summary").click()
    assert page.find(".thoughts").text == "Hm"
