"""The page at `/` in a real browser: what a person sees, presses and reads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from selenium.webdriver.common.keys import Keys

from appliance.auth.policy import Policy
from tests.gateway.browser import DESKTOP, PHONE, Browser, Open
from tests.gateway.fake_triton import failure, piece, refusal, silent_after, usage, words
from tests.gateway.keys import Keys as ApiKeys
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def open_page(chromium: Browser, harness) -> Iterator[Open]:
    """Opens the page of the shared gateway; afterwards no rule of the page's own policy may have been broken."""

    def open_page(url: str = harness.url, **look) -> Browser:
        chromium.open_tab(url, **look)
        return chromium

    yield open_page
    complaints = chromium.complaints()
    chromium.close_tab()
    assert complaints == []


@pytest.fixture
def page(open_page: Open) -> Browser:
    browser = open_page()
    browser.wait_ready()
    return browser


@pytest.fixture
def keys(tmp_path: Path) -> ApiKeys:
    return ApiKeys(tmp_path / "keys" / "keys.json")


@pytest.fixture
def guarded(make_harness, keys: ApiKeys) -> str:
    """The address of a gateway that demands keys."""
    return make_harness(policy=Policy(keys=keys.file.path, require_keys=True)).url


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
    assert page.text("#send") == "Stop"
    assert page.find(".answer").get_attribute("aria-busy") == "true"
    harness.run(_set(proceed))
    page.wait_for(".answer .note", "2 tokens")
    assert page.texts(".asked .text") == ["Say something"]
    assert page.texts(".answer .text") == ["First and last"]
    assert page.text("#used").endswith("of 512 tokens")
    assert page.text("#send") == "Send"
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
    assert page.text("#send") == "Send"
    assert page.text("#error") == ""
    # What came is part of the conversation.
    harness.triton.script = words("Good")
    page.find("#question").send_keys("Enough", Keys.ENTER)
    page.wait_for(".answer .text", "Good")
    assert len(page.texts(".turn")) == 4


def test_a_conversation_is_sent_as_a_whole_and_a_new_one_starts_empty(page: Browser, harness):
    harness.triton.script = words("Hello")
    for question in ("One", "Two"):
        page.ask(question)
        wait_until(lambda: len(page.texts(".note")) == len(page.texts(".answer")) > 0)
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


def test_all_of_it_works_with_the_keyboard_alone(page: Browser, harness):
    harness.triton.script = words("Yes")
    assert page.focused == "question"
    page.type("one")
    page.shift(Keys.ENTER)
    page.type("two")
    assert harness.triton.asked == []
    page.type(Keys.ENTER)
    page.wait_for(".note", "1 token")
    assert page.texts(".asked .text") == ["one\ntwo"]
    # Whoever tabs, onwards or back, must see where he is.
    reached = []
    for press in (*[page.type] * 2, *[page.shift] * 5):
        press(Keys.TAB)
        reached.append(page.focused)
        assert page.script(OUTLINE) != "none", reached
    assert reached == ["send", "model", "send", "question", "new", "status", "skip"]
    page.find("#status").send_keys(Keys.ENTER)
    assert page.find("#box").is_displayed()
    assert page.find("#status").get_attribute("aria-expanded") == "true"


def test_the_page_asks_its_own_origin_alone(open_page: Open, harness):
    page = open_page()
    page.wait_ready()
    page.ask("Hello")
    page.wait_for(".note", "2 tokens")
    requested = [urlsplit(url) for url in page.requested()]
    # The tab's first page, which the browser makes itself, may still load its parts: they come from no network.
    origins = {f"{url.scheme}://{url.netloc}" for url in requested if url.scheme not in ("chrome", "data")}
    assert origins == {harness.url}
    assert "/v1/chat/completions" in {url.path for url in requested}


def test_what_the_model_writes_is_text_and_never_markup(page: Browser, harness):
    markup = "<img src=x onerror=document.title='owned'><b>bold</b>"
    code = "```html\n<script>document.title = 'owned'</script>\n```\n"
    harness.triton.script = words(f"Before `{markup}`\n", code[:5], code[5:], "After")
    page.ask("<b>Hello</b>")
    page.wait_for(".note", "4 tokens")
    assert page.text(".asked .text") == "<b>Hello</b>"
    assert page.texts(".prose") == [f"Before {markup}", "After"]
    assert page.texts(".prose code") == [markup]
    assert page.texts(".code pre") == ["<script>document.title = 'owned'</script>"]
    assert page.texts(".code .top span") == ["html"]
    assert page.script("return document.querySelectorAll('main img, main b, main script').length") == 0
    assert page.driver.title == "Appliance"


@pytest.mark.parametrize(
    ("answer", "blocks"),
    [
        ("a\n```\nb", ["p:a", ":b"]),
        ("```py\nb\n```", ["py:b"]),
        ("````\n```\n````\na", [":```", "p:a"]),
        ("1. so:\n   ```c\n   x\n     y\n   ```\n", ["p:1. so:", "c:x\n  y"]),
        ("~~~\na\n```\n~~~", [":a\n```"]),
        ("a ``` b", ["p:a ``` b"]),
        ("\n\n", []),
    ],
    ids=["open", "language", "longer fence", "in a list", "tildes", "within a line", "nothing"],
)
def test_fences_make_blocks_of_code(page: Browser, answer, blocks):
    found = page.driver.execute_async_script(
        "const [text, done] = arguments; import('/page/blocks.js').then((m) => done(m.blocksOf(text)))", answer
    )
    assert [f"{one['language'] if one['code'] else 'p'}:{one['text']}" for one in found] == blocks


def test_what_is_written_from_right_to_left_is_laid_out_so_and_code_is_not(page: Browser, harness):
    hebrew, arabic = "\N{HEBREW LETTER SHIN}\N{HEBREW LETTER LAMED}", "\N{ARABIC LETTER MEEM}\N{ARABIC LETTER REH}"
    answer = f"<think>\n{hebrew}\n</think>\n\n{hebrew}, `x = 1`\n\nHello\n```\n{hebrew}\n```\n{arabic}"
    harness.triton.script = words(answer)
    page.script("document.getElementById('model').value = 'tiny-talker'")
    page.ask(hebrew)
    page.wait_for(".answer .note", "1 token")
    directions = """
        return [...document.querySelectorAll(arguments[0])].map((node) => getComputedStyle(node).direction)
    """
    assert page.script(directions, ".asked .text, .thinking .text, .answer .prose") == ["rtl"] * 4
    assert page.script(directions, ".answer code, .code .top") == ["ltr"] * 3
    # A line of Latin letters within is laid out from the left.
    places = """
        const prose = document.querySelector(".answer .prose").lastChild;
        const range = document.createRange();
        const start = prose.data.indexOf("Hello");
        range.setStart(prose, start);
        range.setEnd(prose, start + 5);
        return [range.getBoundingClientRect().left, prose.parentElement.getBoundingClientRect().left];
    """
    latin, edge = page.script(places)
    assert abs(latin - edge) < 1
    page.type(hebrew)
    assert page.script(directions, "#question") == ["rtl"]


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
    page.wait_for("#error", "The API key is not valid")
    assert page.find("#question").get_attribute("value") == "Hello"
    assert page.script("return sessionStorage.length") == 0
    page.type(Keys.ENTER)
    page.wait_for("#key-why", "requires a key")
    page.ask(newer)
    page.wait_for(".answer .text", "Hello world")
    assert page.texts(".asked .text") == ["Hello"]
    assert page.text("#error") == ""
    page.find("#status").click()
    page.find("#key-forget").click()
    assert page.script("return sessionStorage.length") == 0


def test_a_refusal_is_one_clear_line_and_the_question_comes_back(page: Browser, harness):
    page.ask("x" * 600)
    page.wait_for("#error", "512")
    assert page.find("#question").get_attribute("value") == "x" * 600
    assert page.texts(".turn") == []
    assert page.find("#empty").is_displayed()
    harness.triton.script = refusal('{"code": "overloaded", "message": "the queue is full"}')
    page.script("document.getElementById('question').value = ''")
    page.ask("Hello")
    page.wait_for("#error", "ull")
    harness.triton.script = words("Here")
    page.type(Keys.ENTER)
    page.wait_for(".answer .text", "Here")
    assert page.text("#error") == ""


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
    page.wait_for("#error", "does not answer")
    page.wait_for("#status-text", "No answer")
    assert page.find("#question").get_attribute("value") == "Hello"


def test_a_box_that_is_not_ready_says_what_it_waits_for(open_page: Open, make_harness):
    harness = make_harness()
    harness.triton.ready = False
    page = open_page(harness.url)
    page.wait_for("#status-text", "Not ready")
    assert "tiny-instruct" in page.text("#box-status")
    harness.triton.ready = True
    page.wait_for("#status-text", "Ready")


def test_status_and_limits_are_of_the_chosen_model(page: Browser):
    assert page.texts("#model option") == ["tiny-instruct", "tiny-base", "tiny-talker"]
    assert page.text("#box-status") == "ready"
    assert page.text("#box-model") == "tiny-instruct"
    assert page.text("#box-context").startswith("512 tokens")
    page.find("#model").send_keys("tiny-base")
    page.wait_for("#box-model", "tiny-base")
    page.find("#question").click()
    page.ask("Hello")
    page.wait_for("#error", "/v1/completions")


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_nothing_is_wider_than_the_screen_and_what_is_pressed_is_large_enough(open_page: Open, harness, size):
    long = "Donaudampfschifffahrt" * 12
    harness.triton.script = words(f"{long}\n\n", f"`{long}`\n\n```\n{long * 2}\n```\n", f"{'a ' * 200}")
    page = open_page(size=size)
    page.wait_ready()
    page.ask(long)
    page.wait_for(".note", "3 tokens")
    # The end of the answer is what one sees.
    assert page.script(
        "return document.querySelector('.note').getBoundingClientRect().bottom"
        " <= document.querySelector('footer').getBoundingClientRect().top"
    )
    page.find("#status").click()
    assert page.script("return document.documentElement.scrollWidth") == size[0]
    sizes = page.script(
        "return [...document.querySelectorAll('header button:not(.link), #send')]"
        ".map((node) => node.getBoundingClientRect().height)"
    )
    assert min(sizes) >= (40 if size == PHONE else 30)
    assert page.script("return parseFloat(getComputedStyle(document.getElementById('question')).fontSize)") >= 16


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_has_enough_contrast_in_light_and_dark(open_page: Open, dark):
    page = open_page(dark=dark)
    page.wait_ready()
    ground, ratios = page.script(CONTRAST)
    assert (ground < 0.05) == dark
    assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}


# The question's outline is drawn around the whole box that it stands in.
OUTLINE = """
const node = document.activeElement;
return getComputedStyle(node.id === "question" ? document.getElementById("ask") : node).outlineStyle;
"""
CONTRAST = """
const style = getComputedStyle(document.documentElement);
const light = (name) => {
  const hex = style.getPropertyValue(name).trim().slice(1);
  const [r, g, b] = [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const pairs = [["--ink", "--ground"], ["--ink", "--raised"], ["--ink", "--tinted"], ["--soft", "--ground"],
  ["--soft", "--raised"], ["--soft", "--tinted"], ["--accent", "--ground"], ["--on-accent", "--accent"],
  ["--bad", "--bad-ground"]];
const ratio = ([one, other]) => {
  const [dim, bright] = [light(one), light(other)].sort((a, b) => a - b);
  return (bright + 0.05) / (dim + 0.05);
};
return [light("--ground"), Object.fromEntries(pairs.map((pair) => [pair.join(" on "), ratio(pair)]))];
"""
