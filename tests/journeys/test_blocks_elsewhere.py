"""Blocks of an upload that lie in an object store until their list makes them one content; what is left of them goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.uploads import sweep
from tests.journeys.test_http_blobs import content_of
from tests.journeys.test_workspaces_elsewhere import bucket as bucket  # noqa: PLC0414 - fixtures
from tests.journeys.test_workspaces_elsewhere import store as store  # noqa: PLC0414
from tests.support.api import Api
from tests.support.uploads import awaiting, put_block, put_list, signing, url_of


@pytest.fixture
def api(
    database_url: str, tmp_path: Path, store: dict[str, str], bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Api]:
    for name, value in store.items():
        monkeypatch.setenv(name, value)
    bucket.objects.all().delete()
    with signing(database_url, tmp_path) as made:
        made.change("UPDATE workspaces SET url = 's3://data/blocks'")
        yield made


def lying(bucket: Any) -> list[bytes]:
    return sorted(one.get()["Body"].read() for one in bucket.objects.all())


def test_blocks_of_any_order_become_one_object_and_are_gone(api: Api, bucket: Any) -> None:
    job = awaiting(api)
    url = url_of(job)
    for number, body in ((20, b"third"), (0, b"once"), (10, b"second"), (0, b"first"), (30, b"not listed")):
        assert put_block(api, url, number, body).status_code == 201
    assert lying(bucket) == [b"first", b"not listed", b"second", b"third"], (
        "one that came again took the place of the first"
    )
    assert put_list(api, url, [0, 10, 20]).status_code == 201
    assert put_list(api, url, [0, 10, 20]).status_code == 201, "the list may come again"
    assert content_of(api, job) == b"firstsecondthird"
    sweep.sweep(api.rt)
    assert lying(bucket) == [b"firstsecondthird"]


def test_a_list_that_names_a_missing_block_makes_nothing_of_those_that_are_there(api: Api, bucket: Any) -> None:
    url = url_of(awaiting(api))
    put_block(api, url, 0, b"x")
    assert put_list(api, url, [0, 1]).status_code == 400
    assert lying(bucket) == [b"x"]


def test_what_was_staged_for_a_job_that_waits_no_more_is_swept(api: Api, bucket: Any) -> None:
    job = awaiting(api)
    put_block(api, url_of(job), 0, b"half")
    assert api.patch(f"/jobs/{job['id']}/", {"status": "CANCELED"}).status_code == 200
    assert sweep.sweep(api.rt) == 1
    assert lying(bucket) == []
    assert sweep.sweep(api.rt) == 0
