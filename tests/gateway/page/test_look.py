"""How the page looks and is reached: by keyboard, on small and large screens, light and dark, by screen readers."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from tests.gateway.fake_triton import refusal, words
from tests.gateway.page.axe import axe_source, faults
from tests.gateway.page.browser import DESKTOP, PHONE, Browser, Open
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def axe() -> str:
    return axe_source()


def test_all_of_it_works_with_the_keyboard_alone(page: Browser, harness):
    harness.triton.script = words("Yes\n\n```\ncode\n```")
    assert page.focused == "question"
    page.type("one")
    page.shift(Keys.ENTER)
    page.type("two")
    assert harness.triton.asked == []
    page.type(Keys.ENTER)
    page.wait_answered(1)
    assert page.texts(".asked .text") == ["one\ntwo"]
    # Whoever tabs, onwards or back, must see where he is.
    page.script("document.getElementById('skip').focus()")
    reached = []
    while not reached or reached[-1] != "send":
        page.type(Keys.TAB)
        reached.append(page.script("return document.activeElement.id || document.activeElement.dataset.label || 'pre'"))
        assert page.script(OUTLINE) != "none", reached
        assert page.script(SEEN), reached
    assert reached == [
        *("history-toggle", "model", "status", "settings-open", "new"),
        *("edit", "copy_question", "delete_exchange"),
        *("copy_code", "pre", "copy_answer", "regenerate", "delete_exchange"),
        *("question", "attach", "send"),
    ]
    page.find("#status").send_keys(Keys.ENTER)
    assert page.find("#box").is_displayed()
    assert page.find("#status").get_attribute("aria-expanded") == "true"
    page.find("#settings-open").send_keys(Keys.ENTER)
    assert page.find("#settings").is_displayed()
    page.type(Keys.ESCAPE)
    assert page.focused == "settings-open"


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize(
    ("dark", "languages"), [(False, "en"), (True, "en"), (False, "ar")], ids=["light", "dark", "arabic"]
)
def test_axe_finds_nothing(open_page: Open, harness, axe, size, dark, languages):
    harness.triton.script = words(EVERYTHING)
    page = open_page(size=size, dark=dark, languages=languages)
    wait_until(lambda: page.script("return document.getElementById('model').value"))
    assert faults(page, axe) == []
    page.put("Show **all**\n```\nx\n```")
    page.wait_answered(1)
    page.find("#status").click()
    assert faults(page, axe) == []
    page.find("#history-toggle").click()
    assert faults(page, axe) == []
    page.type(Keys.ESCAPE)
    page.script("document.getElementById('settings-open').click()")
    assert faults(page, axe) == []
    page.type(Keys.ESCAPE)
    page.press(".asked [data-label=delete_exchange]")
    assert faults(page, axe) == []
    page.type(Keys.ESCAPE)
    page.press(".asked [data-label=edit]")
    harness.triton.script = refusal("broken")
    page.put("Once more")
    page.wait_for("#error-text", "broken")
    assert faults(page, axe) == []


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


@pytest.mark.parametrize("chosen", ["light", "dark", ""])
@pytest.mark.parametrize("dark", [False, True], ids=["light system", "dark system"])
def test_the_appearance_is_the_system_s_unless_the_person_chooses(open_page: Open, dark, chosen):
    page = open_page(dark=dark)
    page.wait_ready()
    page.find("#settings-open").click()
    Select(page.find("#appearance")).select_by_value(chosen)
    page.driver.refresh()
    page.wait_ready()
    red, *_ = page.script(
        "return getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).map(Number)"
    )
    assert (red < 80) == (chosen == "dark" or (chosen == "" and dark))


OUTLINE = """
const node = document.activeElement;
return getComputedStyle(node.id === "question" ? document.getElementById("ask") : node).outlineStyle;
"""
SEEN = """
let shown = 1;
for (let node = document.activeElement; node; node = node.parentElement) shown *= getComputedStyle(node).opacity;
return shown === 1;
"""
EVERYTHING = """
# Heading

**Bold**, *italic*, `code`, [link](https://example.org/), $x^2$, ![picture](https://example.org/x.png)

1. one
   - two

> quotation

| a | b |
|---|--:|
| 1 | 2 |

```python
# comment
@decorator
class A(B): x: int = 1 + f("text")
```

```html
<a href="x">y</a> <!-- z -->
```

$$\\frac{1}{2}$$
"""
