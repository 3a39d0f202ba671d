"""The API key in the page: asked for, kept in the tab alone, deleted."""

from __future__ import annotations

from selenium.webdriver.common.keys import Keys

from tests.gateway.keys import Keys as ApiKeys
from tests.gateway.page.browser import Open
from tests.waiting import wait_until


def test_the_page_asks_for_a_key_keeps_it_in_the_tab_and_goes_on(open_page: Open, guarded: str, keys: ApiKeys):
    key = keys.make()
    page = open_page(guarded)
    wait_until(lambda: page.find("#key-form").is_displayed())
    assert page.focused == "key"
    assert "requires a key" in page.text("#key-why")
    page.ask("wrong-key")
    page.wait_for("#key-why", "does not accept this key")
    assert page.focused == "key"
    page.ask(key)
    page.wait_ready()
    assert not page.find("#key-form").is_displayed()
    assert page.focused == "question"
    page.ask("Hello")
    page.wait_for(".note", "2 tokens")
    stored = page.script("return [{...sessionStorage}, {...localStorage}, document.cookie]")
    assert stored == [{"appliance.key": key}, {}, ""]
    assert key not in page.script("return document.documentElement.outerHTML")


def test_a_key_that_was_revoked_is_asked_for_again_and_the_question_is_not_lost(
    open_page: Open, guarded: str, keys: ApiKeys
):
    key, newer = keys.make(), keys.make()
    page = open_page(guarded)
    page.wait_for("#key-why", "requires a key")
    page.ask(key)
    page.wait_ready()
    keys.revoke(key)
    page.ask("Hello")
    page.wait_for("#key-why", "does not accept this key")
    # To give up brings the question back; to give the new key answers it.
    page.type(Keys.ESCAPE)
    page.wait_for("#error-text", "requires a valid key")
    assert page.value("#question") == "Hello"
    assert page.script("return sessionStorage.length") == 0
    page.type(Keys.ENTER)
    page.wait_for("#key-why", "requires a key")
    page.ask(newer)
    page.wait_for(".answer .text", "Hello world")
    assert page.texts(".asked .text") == ["Hello"]
    assert not page.find("#error").is_displayed()
    page.find("#status").click()
    page.find("#key-forget").click()
    assert page.script("return sessionStorage.length") == 0
