"""A real browser, and the page in it. After each test, no rule of the page's policy may have been broken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.auth.policy import Policy
from tests.gateway.keys import Keys as ApiKeys
from tests.gateway.page.browser import Browser, Open


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def open_page(chromium: Browser, harness) -> Iterator[Open]:
    """Opens the page of the shared gateway. Afterwards: no broken rule, and no request to another origin."""
    opened = []

    def open_page(url: str = harness.url, **look) -> Browser:
        chromium.open_tab(url, **look)
        opened.append(url)
        return chromium

    yield open_page
    complaints = chromium.complaints()
    strangers = chromium.strangers(opened[-1])
    chromium.close_tab()
    assert complaints == []
    assert strangers == []


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
