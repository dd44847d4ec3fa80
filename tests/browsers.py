"""A real Chromium that opens a report by file://, with pointer and keyboard.

Without Chromium (`apt-get install chromium chromium-driver`) its tests are skipped, unless
`MODELDIR_ENGINES` names chromium: then they fail.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

LIMIT = 60.0
FRAMES = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done));"
"""Two frames: by then the page has heard what is in sight."""
_QUIET = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--hide-scrollbars", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-extensions", "--force-color-profile=srgb",
)  # fmt: skip
LEFT, RIGHT, TOP, BOTTOM, TALL = 46, 64, 38, 30, 330
"""Margins and height of the canvas of the parallel coordinates."""


def programs() -> tuple[str, str] | None:
    """Return Chromium and its driver, if both are installed."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


def need_chromium() -> tuple[str, str]:
    """Return both programs, or skip the test (or fail, if they are required)."""
    found = programs()
    if found is not None:
        return found
    why = "no chromium with chromedriver: apt-get install chromium chromium-driver"
    if "chromium" in re.split(r"[,\s]+", os.environ.get("MODELDIR_ENGINES", "")):
        pytest.fail(f"MODELDIR_ENGINES names chromium: {why}")
    pytest.skip(why)


class Reader:
    """A reader of a report: a browser with helpers to look at the page and use it."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(
        self, path: Path, *, width: int = 1500, height: int = 1000, dark: bool = False
    ) -> None:
        self.size(width, height)
        self.prefer(dark=dark)
        self.driver.get("about:blank")
        self.said()
        self.requests()  # of the page that was open before
        self.driver.get(path.resolve().as_uri())
        self.settle()

    def size(self, width: int, height: int) -> None:
        facts = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", facts)

    def prefer(self, *, dark: bool) -> None:
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def settle(self) -> None:
        """Wait until everything visible has been drawn."""
        self.driver.execute_async_script(FRAMES)
        self.until("return document.documentElement.dataset.busy === 'false'")

    def until(self, script: str) -> None:
        limit = time.monotonic() + LIMIT
        while not self.js(script):
            assert time.monotonic() < limit, (script, self.said())
            time.sleep(0.02)

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    # -- What is seen ------------------------------------------------------------------------------

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return str(self.js("return document.querySelector(arguments[0]).innerText", selector))

    def cells(self, column: str) -> list[str]:
        """Return the text of a column in the visible rows of the leaderboard."""
        heads = self.js(
            "return [...document.querySelectorAll('.heads > *')].map(e => e.innerText.trim())"
        )
        bare = [re.sub(r" [↑↓▲▼ ]+$", "", head) for head in heads]
        found = self.js(
            "return [...document.querySelectorAll('#grid .row:not(.heads)')]"
            ".map(r => r.children[arguments[0]].innerText.trim())",
            bare.index(column),
        )
        return list(map(str, found))

    def said(self) -> list[str]:
        """Return the messages of the console since the last call."""
        return [str(entry["message"]) for entry in self._log("browser")]

    def _log(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        return found

    def requests(self) -> list[str]:
        """Return the addresses that the page requested, except its own file."""
        found = []
        for entry in self._log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                if not url.startswith(("data:", "blob:", "about:")):
                    found.append(url)
        return found

    def shown(self) -> int:
        """How many experiments the page says that it shows."""
        found = re.findall(r"[\d,]+", self.text("#shown"))
        return int(str(found[0]).replace(",", ""))

    # -- What is done ------------------------------------------------------------------------------

    def click(self, selector: str) -> None:
        self.one(selector).click()
        self.settle()

    def head(self, column: str) -> None:
        """Click a header of the leaderboard."""
        for button in self.driver.find_elements(By.CSS_SELECTOR, ".heads button"):
            if re.sub(r"[ ↑↓▲▼]+$", "", button.text) == column:
                self.js("arguments[0].scrollIntoView({block: 'center', inline: 'center'})", button)
                button.click()
                self.settle()
                return
        raise AssertionError(column)

    def type(self, text: str) -> None:
        """Write a filter in the place of what is there."""
        field = self.one("#query")
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(Keys.BACKSPACE, text)
        self.settle()

    def press(self, *keys: str) -> None:
        """Press keys in the leaderboard."""
        self.js("document.getElementById('grid').focus()")
        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()
        self.settle()

    def axes(self) -> list[str]:
        label = self.one("#parallel canvas + canvas").get_attribute("aria-label") or ""
        return label.partition("left: ")[2].split(", ")

    def drag(self, axis: str, start: float, stop: float) -> None:
        """A real drag along an axis of the parallel coordinates, from and to a part of it."""
        canvas = self.one("#parallel canvas + canvas")
        self.js("arguments[0].scrollIntoView({block: 'center'})", canvas)
        self.settle()
        names = self.axes()
        width, height = canvas.size["width"], canvas.size["height"]
        x = LEFT + names.index(axis) * (width - LEFT - RIGHT) / (len(names) - 1)

        def place(part: float) -> int:
            return int(round(TOP + (1 - part) * (TALL - TOP - BOTTOM)) - height // 2)

        across = round(x - width / 2)
        chain = ActionChains(self.driver, duration=20)
        chain.move_to_element_with_offset(canvas, across, place(start))
        if start != stop:
            chain.click_and_hold()
            middle = (start + stop) / 2
            chain.move_to_element_with_offset(canvas, across, place(middle))
            chain.move_to_element_with_offset(canvas, across, place(stop)).release()
        else:
            chain.click()
        chain.perform()
        self.settle()

    def picture(self, path: Path) -> bytes:
        """The whole page as a picture."""
        width = self.js("return innerWidth")
        height = min(6000, int(self.js("return document.documentElement.scrollHeight")))
        self.size(width, height)
        self.settle()
        self.driver.save_screenshot(str(path))
        return path.read_bytes()


@contextlib.contextmanager
def chromium(profile: Path, *, wait: bool = True) -> Iterator[Reader]:
    """A browser with a profile of its own. Without `wait` a page is opened and not waited for."""
    browser, driver_path = need_chromium()
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in (*_QUIET, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.page_load_strategy = "normal" if wait else "none"
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(driver_path))
    try:
        yield Reader(driver)
    finally:
        driver.quit()
