"""What a page costs: bytes as they travel, requests of a new browser, statements. The same for the tests and for `./run bench ui`."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine, event

from api.ui.show import assets
from tests.support.browserless import PageReader

FIRST, FIRST_WANTED, NEXT, REQUESTS = 150_000, 90_000, 20_000, 3
"""Budgets: bytes of a first page (what fails, what is wanted), bytes of each page after it, requests that it makes."""

_LINKED = re.compile(r'(?:href|src)="[^"]*/ui/static/([^"]+)"')
_IMPORTED = re.compile(r'"\./([\w.]+\.js)"')


@dataclass(frozen=True, slots=True)
class PageWeight:
    """Bytes of the page itself and of the files that it names, packed, and how many files those are."""

    html: int
    files: int
    named: int

    @property
    def first(self) -> int:
        return self.html + self.files


def weigh(reader: PageReader, path: str) -> PageWeight:
    """Return what a page weighs."""
    answer = reader.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    named = {name.rpartition("/")[2] for name in _LINKED.findall(answer.text)}
    for name in list(named):
        named |= set(_IMPORTED.findall(assets.by_address()[name].data.decode(errors="replace")))
    files = [assets.by_address()[name] for name in named]
    return PageWeight(len(gzip.compress(answer.data, 5)), sum(len(file.packed) for file in files), len(files))


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """Yield a list that gets every statement that is sent meanwhile."""
    seen: list[str] = []

    def note(*facts: object) -> None:
        seen.append(str(facts[2]))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)
