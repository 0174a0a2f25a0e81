"""What pages weigh and ask of the database: budgets that hold whatever the machine does."""

import re

import pytest

from api.ui.rooms import ALL
from tests.support import page_weight
from tests.support.api import Api
from tests.support.browserless import PageReader

PLAIN = sorted({
    route.rule for route in ALL if route.method == "GET" and route.role is not None and "<" not in route.rule
    and route.rule not in {"/ui/live", "/ui/search"}
})  # fmt: skip
MOST_STATEMENTS = 40


@pytest.fixture
def crowded(api: Api) -> int:
    """A thousand jobs, so that every list has a full page."""
    job = api.a_job(name="a job with a name of some length", labels={"run": "7", "team": "maps"})["id"]
    api.post("/jobs/", [{"command": ["true"], "name": f"job {n}", "labels": {"run": str(n % 7)}} for n in range(999)])
    return int(job)


def test_pages_are_light_and_ask_the_database_little_however_full_they_are(
    api: Api, pages: PageReader, crowded: int
) -> None:
    for path in [*PLAIN, f"/ui/jobs/{crowded}", "/ui/nodes", "/ui/jobs?q=status:queued"]:
        answer = pages.get(path)
        if answer.status_code != 200 or answer.mimetype != "text/html":
            continue
        weight = page_weight.weigh(pages, path)
        assert weight.html <= page_weight.NEXT, (path, weight)
        assert weight.first <= page_weight.FIRST_WANTED, (path, weight)
        assert not re.search(r'(?:src|href)="(?:https?:)?//', answer.text), path
        with page_weight.statements(api.rt.db) as seen:
            pages.get(path)
        assert len(seen) <= MOST_STATEMENTS, (path, len(seen), seen)
