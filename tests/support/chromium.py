"""A real browser for the tests of the page: Debian's Chromium, driven by Playwright, one for all of them.

    browser_page     a page of a new profile, signed in as the admin of the module's installation; `.troubles` has what went wrong in it

Where either is missing the tests are skipped and say so; CI demands them (GANGER_DEMAND_BROWSER=1).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.installation import Installation

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
DEMANDED = os.environ.get("GANGER_DEMAND_BROWSER") == "1"


def missing() -> str | None:
    """Return what is missing for tests in a browser; None where all is there."""
    if not any(shutil.which(name) for name in NAMES):
        return "there is no Chromium (apt-get install chromium)"
    try:
        import playwright.sync_api  # noqa: F401, PLC0415 - only whoever has it
    except ImportError:
        return "there is no Playwright (pip install -r .ci/browser-requirements.txt)"
    return None


@contextmanager
def launched() -> Iterator[Any]:
    """Yield a running browser."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only whoever has it

    path = next(found for name in NAMES if (found := shutil.which(name)))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    lacking = missing()
    if lacking is not None:
        assert not DEMANDED, lacking
        pytest.skip(f"NOT TESTED IN A BROWSER: {lacking}")
    with launched() as made:
        yield made


def signed_in(browser: Any, installation: Installation, **options: Any) -> Any:
    """Return a page of a new profile that has signed in by a one-time link."""
    context = browser.new_context(viewport={"width": 1360, "height": 900}, **options)
    page = context.new_page()
    page.troubles = []
    here = installation.ready["url"]
    page.on("pageerror", lambda error: page.troubles.append(f"error: {error}"))
    page.on("console", lambda told: page.troubles.append(told.text) if told.type in {"error", "warning"} else None)
    page.on("request", lambda asked: None if asked.url.startswith((here, "data:")) else page.troubles.append(asked.url))
    link = installation.api.post("/me/login-codes/", json={}).json()["url"]
    page.goto(link)
    page.wait_for_url("**/ui/")
    return page
