"""A real headless browser for tests of the page: Debian's chromium, driven through its own chromedriver."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.waiting import wait_until

PHONE = (360, 740)
DESKTOP = (1280, 860)
# What breaks a rule of the page's policy, from the first script on.
_LISTEN = """
addEventListener("securitypolicyviolation", (event) =>
  (window.violations ??= []).push(`${event.effectiveDirective} ${event.blockedURI} ${event.sample}`));
"""
_HOW = "no browser to test the page in: apt-get install chromium chromium-driver"


class Browser:
    """One chromium. `open_tab` gives a fresh tab: without history, without a key."""

    def __init__(self, profile: Path) -> None:
        chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
        if not chromium or not driver:
            pytest.skip(_HOW)
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        words = [
            "headless=new",
            "disable-gpu",
            "disable-dev-shm-usage",
            "disable-background-networking",
            "no-first-run",
        ]
        words += ["hide-scrollbars", f"user-data-dir={profile}"]
        # The sandbox does not work for root.
        words += ["no-sandbox"] if os.geteuid() == 0 else []
        for word in words:
            options.add_argument(f"--{word}")
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(driver))
        self._home = self.driver.current_window_handle

    def open_tab(
        self, url: str, *, size: tuple[int, int] = DESKTOP, dark: bool = False, languages: str = "en-GB"
    ) -> None:
        """Open the address in a tab of its own; the storage of the page is empty. `languages` are the browser's."""
        self.driver.switch_to.new_window("tab")
        self.look(size, dark=dark)
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _LISTEN})
        agent = self.driver.execute_script("return navigator.userAgent")
        override = {"userAgent": agent, "acceptLanguage": languages}
        self.driver.execute_cdp_cmd("Emulation.setUserAgentOverride", override)
        self.driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": url, "storageTypes": "all"})
        for log in ("performance", "browser"):
            self.driver.get_log(log)
        self.driver.get(url)

    def look(self, size: tuple[int, int], *, dark: bool = False) -> None:
        """Make the tab so wide and high, and the system's preference light or dark."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def close_tab(self) -> None:
        for handle in self.driver.window_handles:
            if handle != self._home:
                self.driver.switch_to.window(handle)
                self.driver.close()
        self.driver.switch_to.window(self._home)

    def close(self) -> None:
        self.driver.quit()

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def value(self, selector: str) -> str:
        """The text in a field."""
        return str(self.script("return document.querySelector(arguments[0]).value", selector))

    def texts(self, selector: str) -> list[str]:
        """The text of every node that the selector finds, as it is in the document."""
        script = "return [...document.querySelectorAll(arguments[0])].map((node) => node.textContent)"
        found: list[str] = self.driver.execute_script(script, selector)
        return found

    def text(self, selector: str) -> str:
        """All that the nodes say."""
        return "\n".join(self.texts(selector))

    def wait_for(self, selector: str, text: str) -> None:
        """Wait until the nodes say this among other things."""
        wait_until(lambda: text in self.text(selector))

    def wait_ready(self) -> None:
        """Wait until the page knows the model and the box says it is ready."""
        self.wait_for("#status-text", "Ready")
        wait_until(lambda: self.script("return document.getElementById('model').value"))

    def type(self, *keys: str) -> None:
        """Press keys, on whatever has the focus."""
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def ask(self, question: str) -> None:
        """Type a question into the focused field, and Enter."""
        self.type(question, Keys.ENTER)

    def put(self, question: str) -> None:
        """Send a question, which may have several lines."""
        self.script(
            "const field = document.getElementById('question'); field.value = arguments[0];"
            "field.dispatchEvent(new Event('input', {bubbles: true})); document.getElementById('ask').requestSubmit()",
            question,
        )

    def wait_answered(self, count: int) -> None:
        """Wait until so many answers are on the screen and none is running."""
        script = """
            const ended = document.querySelectorAll(".answer:not([aria-busy]) .note:not(:empty)");
            return ended.length === arguments[0] && !document.querySelector("[aria-busy]");
        """
        wait_until(lambda: self.script(script, count))

    def press(self, selector: str) -> None:
        """Press a button that may only appear under the mouse."""
        self.script("document.querySelector(arguments[0]).click()", selector)

    def agree(self) -> None:
        """Answer the question of the page's dialog with yes."""
        wait_until(lambda: self.script("return document.getElementById('confirm').open"))
        self.find("#confirm-agree").click()

    def shift(self, key: str) -> None:
        """Press a key with Shift."""
        webdriver.ActionChains(self.driver).key_down(Keys.SHIFT).send_keys(key).key_up(Keys.SHIFT).perform()

    def script(self, code: str, *arguments: Any) -> Any:
        return self.driver.execute_script(code, *arguments)

    @property
    def focused(self) -> str:
        """The id of what has the focus."""
        return str(self.script("return document.activeElement.id"))

    def requested(self) -> list[str]:
        """Every address that the tab asked for since it was opened, or since the last call."""
        return [event["request"]["url"] for event in self._events("Network.requestWillBeSent")]

    def strangers(self, origin: str) -> list[str]:
        """Requested addresses of other origins. The browser makes `chrome`, `data` and `blob` itself."""
        own = ("chrome", "data", "blob")
        urls = [(url, urlsplit(url)) for url in self.requested()]
        return [url for url, part in urls if part.scheme not in own and f"{part.scheme}://{part.netloc}" != origin]

    def complaints(self) -> list[str]:
        """What the console says about broken rules and scripts; answers that refuse are no fault of the page."""
        lines = self.driver.get_log("browser")
        said = [line["message"] for line in lines if line["source"] != "network" and line["level"] != "INFO"]
        return said + list(self.script("return window.violations ?? []"))

    def save(self, path: Path) -> None:
        """A picture of the tab."""
        assert self.driver.save_screenshot(str(path))

    def _events(self, method: str) -> list[dict[str, Any]]:
        messages = [json.loads(line["message"])["message"] for line in self.driver.get_log("performance")]
        return [message["params"] for message in messages if message["method"] == method]


Open = Callable[..., Browser]
