"""The pages without a browser: forms and links as one sends them, with the cookie of a session.

pages       a `Pages`: signed in as the admin; `pages.as_("viewer")` is another session
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from tests.support.api import Api

WORD = re.compile(r'data-csrf="([^"]+)"')


@dataclass(slots=True)
class PageReader:
    """A session of one caller: it keeps cookies and sends the session's word with every form."""

    api: Api
    client: Client
    word: str = ""

    def as_(self, caller: str) -> PageReader:
        """Return a session of another caller, signed in by token."""
        return signed_in(self.api, caller)

    def get(self, path: str, **headers: str) -> TestResponse:
        answer = self.client.get(path, headers={"Accept": "text/html", **headers})
        if found := WORD.search(answer.text if answer.mimetype == "text/html" else ""):
            self.word = found[1]
        return answer

    def post(self, path: str, form: Mapping[str, Any] | None = None, *, word: str | None = None, **headers: str) -> Any:
        sent = {"Sec-Fetch-Site": "same-origin", **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.client.post(path, data={"csrf": self.word if word is None else word, **(form or {})}, headers=sent)

    def live(self, path: str, tag: str | None = None) -> TestResponse:
        """Ask for the live part of a page alone."""
        asked = {"X-Ganger-Part": "live", **({"If-None-Match": tag} if tag else {})}
        return self.client.get(path, headers=asked)


def signed_in(api: Api, caller: str) -> PageReader:
    reader = PageReader(api, api.app.test_client())
    answer = reader.post("/ui/login", {"token": api.secrets[caller]})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/ui/"), answer.text
    reader.get("/ui/me")
    return reader


@pytest.fixture
def pages(api: Api) -> PageReader:
    return signed_in(api, "admin")
