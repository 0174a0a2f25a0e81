"""A requeued job still is what somebody asked for: its tries, its earliest start, its hold."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from scheduler.identifiers import JobId
from scheduler.jobs import hold, requeue
from tests.support.api import Api
from tests.support.cluster import Cluster

LATER = "2031-05-04T03:02:01Z"


def requeued(api: Api, job_id: int) -> dict[str, Any]:
    assert requeue.requeue(api.rt, [JobId(job_id)], actor="me") == [job_id]
    return shown(api, job_id)


def shown(api: Api, job_id: int) -> dict[str, Any]:
    return dict(api.get(f"/jobs/{job_id}/").json)


def canceled(api: Api, job_id: int) -> dict[str, Any]:
    answer = api.patch(f"/jobs/{job_id}/", {"status": "CANCELED"})
    assert answer.status_code == 200
    return dict(answer.json)


def end_a_try(cluster: Cluster, node: Any, job_id: int, outcome: str = "failed") -> None:
    assert cluster.tick() == 1
    ref = cluster.execution_of(job_id)
    assert cluster.claim(node, ref).granted
    cluster.report(node, ref, outcome)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(("own", "tries"), [({"max_tries": 1}, 1), ({"max_tries": 5}, 5), ({}, 3)])
def test_a_new_round_has_as_many_tries_as_the_first(api: Api, cluster: Cluster, own: Any, tries: int) -> None:
    node = cluster.a_node()
    job_id = api.a_job(**own, retry_on=["ALGORITHM"])["id"]
    for round_ in (1, 2, 3):
        for _ in range(tries):
            assert shown(api, job_id)["status"] == "QUEUED"
            end_a_try(cluster, node, job_id)
        job = shown(api, job_id)
        assert (job["status"], job["num_exes"], job["max_tries"], job["round"]) == (
            "FAILED",
            *[tries * round_] * 2,
            round_,
        )
        requeued(api, job_id)


def test_a_job_of_before_the_tries_were_kept_gets_those_that_its_first_round_had(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    job_id = api.a_job(max_tries=1)["id"]
    api.change("UPDATE jobs SET requested_tries = NULL")
    end_a_try(cluster, node, job_id)
    assert requeued(api, job_id)["max_tries"] == 2


def test_a_job_that_is_to_start_later_does_so_when_it_was_cancelled_and_requeued(api: Api, cluster: Cluster) -> None:
    cluster.a_node()
    job_id = api.a_job(not_before=LATER)["id"]
    assert moment(canceled(api, job_id)["not_before"]) == moment(LATER)
    job = requeued(api, job_id)
    assert (job["status"], moment(job["not_before"]), job["retry_at"]) == ("QUEUED", moment(LATER), None)
    assert cluster.tick() == 0
    assert api.get(f"/jobs/{job_id}/explain/").json["reasons"][0]["kind"] == "not-before"
    canceled(api, job_id)
    api.change("UPDATE jobs SET requested_not_before = now() - interval '1 s'")
    assert requeued(api, job_id)["status"] == "QUEUED"
    assert cluster.tick() == 1


def test_a_held_job_is_held_when_it_was_cancelled_and_requeued(api: Api, cluster: Cluster) -> None:
    cluster.a_node()
    job_id = api.a_job(held=True, hold_reason="not yet")["id"]
    canceled(api, job_id)
    job = requeued(api, job_id)
    assert (job["status"], job["is_held"], job["hold_reason"]) == ("QUEUED", True, "not yet")
    assert cluster.tick() == 0
    hold.release(api.rt, [JobId(job_id)], actor="me")
    assert cluster.tick() == 1


def test_the_earliest_start_stays_what_was_asked_and_a_back_off_stands_by_itself(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    asked = (datetime.now().astimezone() - timedelta(minutes=1)).isoformat()
    job_id = api.a_job(not_before=asked, retry_on=["ALGORITHM"])["id"]
    plain = api.a_job(retry_on=["ALGORITHM"])["id"]
    assert cluster.tick() == 2
    for each in (job_id, plain):
        ref = cluster.execution_of(each)
        cluster.claim(node, ref)
        cluster.report(node, ref, "failed")
    job, other = shown(api, job_id), shown(api, plain)
    assert moment(job["not_before"]) == moment(asked)
    assert other["not_before"] is None
    assert job["retry_at"] is not None
    assert other["retry_at"] is not None
    assert cluster.tick() == 2
    assert shown(api, plain)["retry_at"] is None


def test_tries_that_were_forgiven_are_told_apart(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    job_id = api.a_job(max_tries=1)["id"]
    end_a_try(cluster, node, job_id, "returned")
    end_a_try(cluster, node, job_id)
    job = shown(api, job_id)
    assert (job["status"], job["num_exes"], job["forgiven"], job["max_tries"]) == ("FAILED", 2, 1, 1)


# --- after which errors there is another try ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("of_type", "of_job", "error", "status"),
    [
        ({}, {}, "staging", "QUEUED"), ({}, {}, None, "FAILED"), ({}, {}, "checksum", "FAILED"), ({}, {"max_tries": 9}, None, "FAILED"),
        ({"retry_on": ["ALGORITHM"]}, {}, None, "QUEUED"), ({"retry_on": ["ALGORITHM"]}, {}, "staging", "FAILED"),
        ({"retry_on": ["unknown-exit"]}, {}, None, "QUEUED"), ({"retry_on": []}, {}, "staging", "FAILED"),
        ({"retry_on": []}, {"retry_on": ["SYSTEM"]}, "staging", "QUEUED"), ({"retry_on": ["ALGORITHM"]}, {"retry_on": None}, None, "FAILED"),
        ({}, {"on_oom": {"mem_factor": 2}}, "out-of-memory", "QUEUED"), ({}, {}, "out-of-memory", "FAILED"),
    ],
)  # fmt: skip
def test_errors_of_the_platform_are_tried_again_and_others_where_type_or_job_say_so(
    api: Api, cluster: Cluster, of_type: dict[str, Any], of_job: dict[str, Any], error: str | None, status: str
) -> None:
    node = cluster.a_node()
    made = api.a_type(mem_required=1, **of_type)
    job_id = api.a_job(job_type_id=made["id"], **of_job)["id"]
    assert cluster.tick() == 1
    ref = cluster.execution_of(job_id)
    cluster.claim(node, ref)
    cluster.report(node, ref, "failed", error=error, phases={"job": {"exit_code": 1}})
    assert shown(api, job_id)["status"] == status


def test_unknown_words_after_which_to_try_again_are_refused_by_their_places(api: Api) -> None:
    refused = api.post("/jobs/", {"command": ["true"], "retry_on": ["SYSTEM", "no-such-error"]})
    assert (refused.status_code, refused.json["field"]) == (400, "retry_on[1]")
    of_type = {"name": "t", "version": "1", "command": ["true"], "retry_on": ["nonsense"]}
    assert api.post("/job-types/", of_type).json["field"] == "retry_on[0]"
