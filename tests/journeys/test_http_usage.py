"""What an execution uses, over HTTP and on the page of its job: points, peaks, plain words where there are none."""

from __future__ import annotations

import time
from typing import Any

import pytest

from scheduler import wire
from scheduler.identity import Role
from tests.support.api import Api
from tests.support.browserless import PageReader
from tests.support.cluster import TOKEN, Cluster
from workers.paths import ExecutionKey


@pytest.fixture
def running(api: Api, cluster: Cluster) -> tuple[int, ExecutionKey]:
    """A job that has run for two minutes, with three samples."""
    node = cluster.a_node()
    job_id, ref = cluster.running(node, cpus=2000, mem=512_000)
    cluster.change("UPDATE executions SET started = now() - interval '2 minutes'")
    samples: list[dict[str, Any]] = [
        {"execution_id": ref[0], "attempt": ref[1], "token": TOKEN, "at": time.time() - ago, "seconds": 120 - ago, "cpu_s": cpu,
         "mem_mib": mem, "disk_mib": None}
        for ago, cpu, mem in ((90, 30, 100), (60, 75, 250.5), (0, 75, 200))
    ]  # fmt: skip
    cluster.beat(node, usage=samples, load={wire.CLOCK: time.time()})
    return job_id, ref


def test_points_and_peaks_stand_beside_what_was_asked_for(api: Api, running: tuple[int, ExecutionKey]) -> None:
    _, ref = running
    found = api.get(f"/job-executions/{ref[0]}/usage/").json
    assert (found["execution_id"], found["attempt"], found["member"], found["every"]) == (ref[0], ref[1], 0, 10)
    assert [(one["cpus"], one["mem"], one["disk"]) for one in found["points"]] == [
        (1.0, 100, None), (1.5, 250.5, None), (0.0, 200, None),
    ]  # fmt: skip
    assert [round(one["seconds"]) for one in found["points"]] == [30, 60, 120]
    assert (found["asked"]["cpus"], found["asked"]["mem"]) == (2.0, 512.0)
    assert found["peak"] == {"cpus": 1.5, "mem": 250.5, "disk": None}
    assert found["message"] is None


def test_where_there_are_no_points_it_says_why_and_has_the_peaks(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    _, ref = cluster.running(node)
    path = f"/job-executions/{ref[0]}/usage/"
    assert "first sample comes" in api.get(path).json["message"]
    phase = wire.PhaseReport(started=1.0, completed=4.0, exit_code=0, usage={"seconds": 3.0, "peak_mem_mib": 77.0})
    assert cluster.report(node, ref, phases={"job": phase}).accepted
    found = api.get(path).json
    assert (found["points"], found["peak"]["mem"]) == ([], 77.0)
    assert "less than 10 seconds" in found["message"]


def test_other_projects_executions_are_not_there(api: Api, running: tuple[int, ExecutionKey]) -> None:
    _, ref = running
    api.a_project("another")
    api.a_token("of-another", Role.ADMIN, "another")
    assert api.as_("of-another").get(f"/job-executions/{ref[0]}/usage/").status_code == 404
    assert api.get("/job-executions/999999/usage/").status_code == 404
    assert api.as_("viewer").get(f"/job-executions/{ref[0]}/usage/").status_code == 200


def test_a_heartbeat_with_a_value_that_cannot_be_is_refused_by_its_name(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    body = {
        "node_id": node.node_id, "epoch": node.epoch, "holding": 0,
        "usage": [{"execution_id": 1, "attempt": 1, "token": TOKEN, "at": 1, "seconds": 1, "mem_mib": -5}],
    }  # fmt: skip
    answer = api.as_("node").post("/node/beat/", body)
    assert answer.status_code == 400
    assert "usage[0].mem_mib" in answer.text


def test_the_page_of_a_job_draws_it_with_its_numbers(pages: PageReader, running: tuple[int, ExecutionKey]) -> None:
    job_id, ref = running
    shown = pages.get(f"/ui/jobs/{job_id}").text
    section = shown[shown.index('id="usage"') :].partition("</section>")[0]
    assert section.count("<svg") == 2, "cpus and memory; of disk nothing is known"
    assert section.count('class="asked"') == 2
    for words in ("of 2 asked for", "250 MiB of 512 MiB asked for".replace(" MiB", "\u202fMiB"), "As numbers"):
        assert words in section, words
    assert section.count("<tr>") - section.count("<thead>") == 3
    assert pages.get(f"/ui/jobs/{job_id}?usage={ref[0]}").status_code == 200
    for odd in ("0", "999999", "x" * 5000, "-1"):
        assert 'id="usage"' in pages.get(f"/ui/jobs/{job_id}?usage={odd}").text


def test_the_page_of_a_job_that_has_not_begun_says_nothing_of_usage(api: Api, pages: PageReader) -> None:
    job_id = api.a_job()["id"]
    assert 'id="usage"' not in pages.get(f"/ui/jobs/{job_id}").text


def test_each_member_and_try_is_chosen_by_the_address(pages: PageReader, cluster: Cluster) -> None:
    node = cluster.a_node()
    job_id, first = cluster.running(node, max_tries=2)
    cluster.report(node, first, "failed", error="unknown-exit")
    cluster.change("UPDATE jobs SET not_before = NULL WHERE id = :id", id=job_id)
    cluster.tick()
    second = cluster.execution_of(job_id)
    assert cluster.claim(node, second).granted
    for chosen, expected in (("", 2), (f"?usage={first[0]}", 1), (f"?usage={second[0]}", 2)):
        assert f'What it uses <span class="quiet small">try {expected}' in pages.get(f"/ui/jobs/{job_id}{chosen}").text
