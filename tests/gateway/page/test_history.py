"""Conversations: kept only when the person and the site want it; found, renamed, exported, imported, deleted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from tests.gateway.fake_triton import silent_after, words
from tests.gateway.page.browser import PHONE, Browser, Open
from tests.waiting import wait_until

_LEAVES = """
const event = new Event("beforeunload", {cancelable: true});
dispatchEvent(event);
return event.defaultPrevented;
"""
_KEPT = """
const done = arguments[0];
const request = indexedDB.open("appliance", 1);
request.onupgradeneeded = () => request.result.createObjectStore("conversations", { keyPath: "id" });
request.onsuccess = () => {
  const all = request.result.transaction("conversations").objectStore("conversations").getAll();
  all.onsuccess = () => {
    request.result.close();
    done(all.result.map((one) => one.exchanges[0].question.text).sort());
  };
};
"""


def kept(page: Browser) -> list[str]:
    """The first questions of the conversations in the browser's database."""
    found: list[str] = page.driver.execute_async_script(_KEPT)
    return found


@pytest.fixture
def talk(page: Browser, harness) -> Browser:
    """A page with two conversations, the list open."""
    for question, answer in (("Apples", "Red"), ("Pears", "Green")):
        harness.triton.script = words(answer)
        page.find("#new").click()
        page.put(question)
        page.wait_answered(1)
    page.find("#history-toggle").click()
    return page


def test_nothing_is_kept_unless_the_person_says_so_and_the_page_warns_before_it_is_lost(page: Browser):
    assert page.script(_LEAVES) is False
    page.type("Half a")
    assert page.script(_LEAVES) is True
    page.find("#question").clear()
    assert page.script(_LEAVES) is False
    page.put("Hello")
    page.wait_answered(1)
    assert page.script(_LEAVES) is True
    assert kept(page) == []
    assert page.script("return [{...localStorage}, document.cookie]") == [{}, ""]


def test_conversations_stay_in_the_browser_when_the_person_wants_it(talk: Browser):
    assert "deleted when you close" in talk.text("#keep-why")
    talk.find("#keep").click()
    wait_until(lambda: kept(talk) == ["Apples", "Pears"])
    assert "until you delete them" in talk.text("#keep-why")
    assert talk.script(_LEAVES) is False
    talk.driver.refresh()
    talk.wait_ready()
    # On a wide screen, the list is open.
    wait_until(lambda: talk.texts(".conversation bdi") == ["Pears", "Apples"])
    assert talk.texts(".turn") == []
    talk.script("document.querySelectorAll('.conversation')[1].click()")
    assert talk.texts(".answer .text") == ["Red"]
    talk.put("More")
    talk.wait_answered(2)
    # To keep nothing any more deletes what was kept, after a warning.
    talk.find("#keep").click()
    talk.agree()
    wait_until(lambda: kept(talk) == [])
    assert talk.script("return {...localStorage}") == {}
    assert talk.texts(".conversation bdi") == ["Apples", "Pears"]
    assert talk.script(_LEAVES) is True


def test_a_site_that_permits_no_history_has_it_deleted(page: Browser):
    page.put("Secret")
    page.wait_answered(1)
    page.find("#history-toggle").click()
    page.find("#keep").click()
    wait_until(lambda: kept(page) == ["Secret"])
    close = "import('/page/store.js').then(({ store }) => store.open(false)).then(arguments[0])"
    page.driver.execute_async_script(close)
    wait_until(lambda: kept(page) == [])
    assert page.script("return {...localStorage}") == {}


def test_the_page_of_such_a_site_offers_no_history(open_page: Open, make_harness):
    page = open_page(make_harness(page_history=False).url)
    page.wait_ready()
    page.script("localStorage.setItem('appliance.keep', 'yes')")
    page.driver.refresh()
    page.wait_ready()
    assert page.script("return {...localStorage}") == {}
    page.find("#history-toggle").click()
    assert not page.find("#keep").is_displayed()
    assert "does not permit" in page.text("#keep-why")
    page.put("Hello")
    page.wait_answered(1)
    assert page.texts(".conversation bdi") == ["Hello"]
    assert kept(page) == []


def test_conversations_are_found_by_their_words_and_renamed(talk: Browser):
    assert talk.texts(".conversation bdi") == ["Pears", "Apples"]
    talk.find("#search").send_keys("rEd")
    assert talk.texts(".conversation bdi") == ["Apples"]
    talk.find("#search").send_keys("x")
    assert talk.texts(".conversation bdi") == []
    assert "No conversation" in talk.text("#history-empty")
    talk.find("#search").send_keys(Keys.BACKSPACE)
    talk.find(".conversation").click()
    talk.find("#conversations [data-label=rename]").click()
    talk.type("Fruit", Keys.ENTER)
    wait_until(lambda: talk.texts(".conversation bdi") == ["Fruit"])
    assert talk.texts(".answer .text") == ["Red"]


def test_conversations_are_deleted_after_a_question(talk: Browser):
    talk.find("#conversations [data-label=delete_conversation]").click()
    talk.agree()
    wait_until(lambda: talk.texts(".conversation bdi") == ["Apples"])
    assert talk.texts(".turn") == []
    talk.find("#delete-all").click()
    talk.agree()
    wait_until(lambda: talk.texts(".conversation bdi") == [])
    assert talk.script(_LEAVES) is False


def test_a_conversation_that_is_deleted_while_its_answer_runs_stays_deleted(page: Browser, harness):
    page.find("#history-toggle").click()
    page.find("#keep").click()
    harness.triton.script = silent_after("word ")
    page.put("Hello")
    page.wait_for(".answer .text", "word")
    assert kept(page) == ["Hello"]
    page.find("#delete-all").click()
    page.agree()
    wait_until(lambda: harness.triton.running == 0)
    wait_until(lambda: page.texts(".turn") == [])
    page.put("Next")
    wait_until(lambda: kept(page) == ["Next"])
    page.type(Keys.ESCAPE)


def test_an_answer_that_a_closed_page_left_can_be_given_again(page: Browser, harness):
    page.find("#history-toggle").click()
    page.find("#keep").click()
    harness.triton.script = silent_after("word ")
    page.put("Hello")
    page.wait_for(".answer .text", "word")
    page.driver.refresh()
    page.wait_ready()
    page.find(".conversation").click()
    assert page.texts(".asked .text") == ["Hello"]
    assert "incomplete" in page.text(".note")
    harness.triton.script = words("Whole")
    page.press("[data-label=regenerate]")
    page.wait_for(".answer .text", "Whole")


def test_a_browser_that_cannot_keep_says_so_and_the_conversation_goes_on(page: Browser):
    page.find("#history-toggle").click()
    page.script("IDBFactory.prototype.open = () => { throw new DOMException('full', 'QuotaExceededError'); }")
    page.find("#keep").click()
    page.put("Hello")
    page.wait_for("#error-text", "could not keep")
    page.wait_answered(1)


def test_what_is_exported_can_be_imported(talk: Browser, tmp_path: Path):
    behaviour = {"behavior": "allow", "downloadPath": str(tmp_path)}
    talk.driver.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    talk.find("#export-all").click()
    wait_until(lambda: list(tmp_path.glob("*.json")))
    (file,) = tmp_path.glob("*.json")
    document = json.loads(file.read_text())
    assert [one["exchanges"][0]["question"]["text"] for one in document["conversations"]] == ["Pears", "Apples"]
    talk.find("#delete-all").click()
    talk.agree()
    wait_until(lambda: talk.texts(".conversation bdi") == [])
    talk.find("#import-file").send_keys(str(file))
    wait_until(lambda: sorted(talk.texts(".conversation bdi")) == ["Apples", "Pears"])
    assert talk.texts(".answer .text") == ["Green"]


_SETTINGS = {"model": "", "system": "", "temperature": 0.5, "maxTokens": "", "thinking": ""}
_ANSWER = {"text": "A", "thinking": "", "model": "", "finish": "constructor", "tokens": 1e300, "seconds": -1}
_EXCHANGE = {"question": {"text": "Q", "files": []}, "answer": _ANSWER}
_RIGHT = {"title": "", "updated": 1e300, "settings": _SETTINGS, "exchanges": [_EXCHANGE]}


def written(folder: Path, *conversations: object, **change: object) -> str:
    """The path of a file with exported conversations."""
    file = folder / "given.json"
    document = {"format": "appliance-conversations", "version": 1, "conversations": conversations, **change}
    file.write_text(json.dumps(document))
    return str(file)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"format": "other"}, "format"),
        ({"version": 2}, "format"),
        ({"conversations": {}}, "conversations"),
        ({"conversations": [None]}, "conversations[0].settings.model"),
    ],
)
def test_a_file_that_is_no_export_is_named_with_its_wrong_part(page: Browser, tmp_path: Path, change, path):
    page.find("#import-file").send_keys(written(tmp_path, **change))
    page.wait_for("#error-text", f"given.json is not a file with exported conversations (wrong part: {path})")
    assert page.texts(".conversation") == []


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"settings": {**_SETTINGS, "temperature": "hot"}}, "settings.temperature"),
        ({"settings": {**_SETTINGS, "system": 5}}, "settings.system"),
        ({"title": None}, "title"),
        ({"updated": "today"}, "updated"),
        ({"exchanges": None}, "exchanges"),
        ({"exchanges": [{**_EXCHANGE, "answer": {**_ANSWER, "text": {}}}]}, "exchanges[0].answer.text"),
        ({"exchanges": [{"question": {"text": "", "files": [{}]}}]}, "exchanges[0].question.files[0].name"),
    ],
)
def test_a_conversation_with_a_wrong_part_is_not_imported(page: Browser, tmp_path: Path, change, path):
    page.find("#import-file").send_keys(written(tmp_path, _RIGHT, {**_RIGHT, **change}))
    page.wait_for("#error-text", f"(wrong part: conversations[1].{path})")
    assert page.texts(".conversation") == []


def test_an_imported_conversation_with_odd_numbers_is_shown(page: Browser, tmp_path: Path):
    page.find("#import-file").send_keys(written(tmp_path, _RIGHT))
    page.wait_for(".answer .text", "A")
    assert "constructor" not in page.text(".note")
    assert page.texts(".conversation bdi") == ["Q"]


def test_on_a_phone_the_list_covers_the_page_and_goes_away(open_page: Open):
    page = open_page(size=PHONE)
    page.wait_ready()
    page.put("Hello")
    page.wait_answered(1)
    page.find("#history-toggle").click()
    assert page.find("#history").is_displayed()
    page.type(Keys.ESCAPE)
    assert not page.find("#history").is_displayed()
    assert page.focused == "history-toggle"
