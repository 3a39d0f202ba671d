"""The languages of the interface: complete, chosen by the browser or the person, from right to left where they are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

from appliance.gateway.page import routes
from tests.gateway.fake_triton import words
from tests.gateway.page.browser import DESKTOP, PHONE, Open
from tests.waiting import wait_until

FILES = Path(routes.__file__).parent / "files"
CODES = ("en", "de", "fr", "es", "zh", "ar")
SENTENCES = {code: json.loads((FILES / "languages" / f"{code}.json").read_text(encoding="utf-8")) for code in CODES}


def test_there_is_one_file_for_each_language():
    assert {path.stem for path in (FILES / "languages").iterdir()} == set(CODES)


@pytest.mark.parametrize("code", CODES[1:])
def test_all_languages_have_the_same_sentences_with_the_same_values(code):
    english, other = SENTENCES["en"], SENTENCES[code]
    assert list(other) == list(english)
    for key, sentence in english.items():
        assert sorted(re.findall(r"\{\w+\}", other[key])) == sorted(re.findall(r"\{\w+\}", sentence)), key
        assert other[key].strip() == other[key] != ""


def test_every_sentence_is_used_and_every_used_sentence_exists():
    source = "".join(path.read_text(encoding="utf-8") for path in FILES.iterdir() if path.suffix in (".js", ".html"))
    used = set(re.findall(r'data-(?:text|label|hint)="(\w+)"', source))
    named = set(re.findall(r'"([a-z_]+)"', source)) | {f"way_{way}" for way in ("again", "key", "new")}
    named |= {f"{key}_wait" for key in ("error_rate", "error_busy", "error_not_ready")}
    assert used <= set(SENTENCES["en"])
    assert set(SENTENCES["en"]) <= used | named


@pytest.mark.parametrize(
    ("languages", "code"),
    [("de-CH,en", "de"), ("pt-BR,fr-CA", "fr"), ("zh-Hant-TW", "zh"), ("constructor,ar", "ar"), ("fi", "en")],
)
def test_the_page_speaks_the_first_language_of_the_browser_that_it_has(open_page: Open, languages, code):
    page = open_page(languages=languages)
    page.wait_for("#empty h2", SENTENCES[code]["welcome"])
    assert page.script("return [document.documentElement.lang, document.documentElement.dir]") == [
        code,
        "rtl" if code == "ar" else "ltr",
    ]


def test_the_person_chooses_another_language_and_it_stays(open_page: Open, harness):
    harness.triton.script = words("Yes", finish="length")
    page = open_page()
    page.wait_ready()
    page.put("Hello")
    page.wait_answered(1)
    page.find("#settings-open").click()
    Select(page.driver.find_element(By.ID, "language")).select_by_value("de")
    page.wait_for("#settings-title", "Einstellungen")
    assert SENTENCES["de"]["note_length"] in page.text(".note")
    assert page.find("#send").get_attribute("aria-label") == "Senden"
    assert page.script("return {...localStorage}") == {"appliance.language": "de"}
    page.driver.refresh()
    page.wait_for("#empty h2", SENTENCES["de"]["welcome"])


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_arabic_is_laid_out_from_the_right(open_page: Open, harness, size):
    harness.triton.script = words("Hello")
    page = open_page(languages="ar", size=size)
    wait_until(lambda: page.script("return document.getElementById('model').value"))
    # What an empty field asks for stands at the right, too.
    assert page.script("return getComputedStyle(document.getElementById('question')).direction") == "rtl"
    page.put("Hello")
    page.wait_answered(1)
    middle = "return document.querySelector(arguments[0]).getBoundingClientRect().left * 2 < innerWidth"
    assert page.script(middle, "#send")
    assert page.script(middle, "#new")
    assert not page.script(middle, "#history-toggle")
    page.find("#history-toggle").click()
    assert not page.script(middle, "#search") or size == PHONE
    assert page.script("return document.documentElement.scrollWidth") == size[0]
