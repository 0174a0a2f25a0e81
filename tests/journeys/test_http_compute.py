"""The compute API by raw HTTP: whose organization it is, and a submission that comes again because nobody heard the answer."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.support.api import Api


@pytest.fixture
def base(api: Api) -> str:
    api.a_type("test/free", interface={"input_data": [{"name": "parameters"}]})
    return f"/compute/orgs/{api.rt.settings.organization}/test/free"


def submit(api: Api, base: str, age_s: float = 0, **parameters: Any) -> str:
    """The address of a new job's status; what was there before is as old as that."""
    api.change("UPDATE jobs SET created = created - make_interval(secs => :age_s)", age_s=age_s)
    answer = api.post(base, {"parameters": parameters})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["Location"])


def test_another_organization_is_not_found_whatever_is_asked_of_it(api: Api, base: str) -> None:
    own = str(api.rt.settings.organization)
    job = submit(api, base)
    assert api.get(job).status_code == 202
    for org in (str(uuid4()), "word"):
        assert api.post(base.replace(own, org), {"parameters": {}}).status_code == 404
        assert api.get(job.replace(own, org)).status_code == 404
        assert api.get(job.replace(own, org).removesuffix("/status")).status_code == 404
        assert api.delete(job.replace(own, org).removesuffix("/status")).status_code == 404


def test_a_submission_that_comes_again_before_anybody_asked_for_its_job_makes_no_second_one(
    api: Api, base: str
) -> None:
    first = submit(api, base, n=1)
    assert submit(api, base, 5, n=1) == first
    assert submit(api, base, 5, n=2) != first, "something else was asked for"


@pytest.mark.parametrize(
    ("age_s", "is_asked_for"), [(0, False), (60, False), (5, True)], ids=["at once", "a minute later", "asked for"]
)
def test_two_submissions_that_are_alike_make_two_jobs(api: Api, base: str, age_s: float, is_asked_for: bool) -> None:
    first = submit(api, base, n=1)
    if is_asked_for:
        assert api.get(first).status_code == 202
    assert submit(api, base, age_s, n=1) != first
