"""Samples of what executions use: what is kept of them, how it is thinned, and whose word counts."""

from __future__ import annotations

import time
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import text

from scheduler import wire
from scheduler.errors import NotFound
from scheduler.executions import node_protocol, usage
from scheduler.executions.plain_beats import HeartbeatGathering
from scheduler.executions.usage import ExecutionUsage
from scheduler.identifiers import Attempt, ExecutionId
from scheduler.identity import Caller, Role
from scheduler.retention.sweep import Sweep
from scheduler.rules.lifecycle.usage import EVERY_S, MOST_POINTS
from tests.store.test_plain_beats import a_node
from tests.support.cluster import TOKEN, Cluster
from workers.paths import ExecutionKey

EMPTY = {"node_id": 1, "epoch": 1, "holding": 0}
NOBODY: ExecutionKey = (ExecutionId(1), Attempt(1))
ANN = Caller(1, "ann", Role.VIEWER)


def said(ref: ExecutionKey, ago_s: float = 0.0, **facts: Any) -> dict[str, Any]:
    """A sample as it is sent."""
    given = {"token": TOKEN, "seconds": 10, "cpu_s": 5, "mem_mib": 100, "disk_mib": 1}
    return {"execution_id": ref[0], "attempt": ref[1], "at": time.time() - ago_s, **given, **facts}


def beat(cluster: Cluster, node: wire.Registered, *samples: dict[str, Any]) -> None:
    for start in range(0, len(samples), wire.MAX_SAMPLES):
        some = samples[start : start + wire.MAX_SAMPLES]
        cluster.beat(node, usage=some, load={wire.CLOCK: time.time()})


def age(cluster: Cluster, ref: ExecutionKey, seconds: float) -> None:
    """Have it started so long ago."""
    cluster.change(
        "UPDATE executions SET started = now() - make_interval(secs => :s) WHERE id = :id", s=seconds, id=ref[0]
    )


def shown(cluster: Cluster, ref: ExecutionKey) -> ExecutionUsage:
    return usage.show(cluster.rt, ANN, ref[0])


def rows(cluster: Cluster) -> int:
    return int(cluster.value("SELECT count(*) FROM usage_samples"))


def test_the_line_has_cpus_between_the_points_and_what_was_held(cluster: Cluster) -> None:
    node = cluster.a_node()
    _, ref = cluster.running(node)
    age(cluster, ref, 35)
    first = said(ref, 20, seconds=10, cpu_s=5, mem_mib=100)
    second = said(ref, 0, seconds=30, cpu_s=45, mem_mib=300, disk_mib=None)
    beat(cluster, node, first, second)
    beat(cluster, node, first)  # a repeat
    found = shown(cluster, ref)
    assert [(point.cpus, point.mem_mib, point.disk_mib) for point in found.points] == [(0.5, 100, 1), (2.0, 300, None)]
    assert [round(point.seconds) for point in found.points] == [15, 35]
    assert (found.every_s, found.peaks.cpus, found.peaks.mem_mib, found.message) == (10, 2.0, 300, None)


def test_a_long_run_has_at_most_its_points_and_loses_no_peak_of_memory(cluster: Cluster) -> None:
    node = cluster.a_node()
    _, ref = cluster.running(node)
    step = EVERY_S * MOST_POINTS / 100
    for number in range(1, 701):  # a run that is seven times as long as fits, in samples of a hundredth of that
        if number % 100 == 0:
            age(cluster, ref, number * step)
            beat(
                cluster, node,
                *(
                    said(ref, (number - n) * step + i, seconds=n * step - i, cpu_s=2 * (n * step - i), mem_mib=900 if n == 3 else 100)
                    for n in range(number - 99, number + 1) for i in (40, 30, 20, 10, 0)
                ),
            )  # fmt: skip
            assert rows(cluster) <= MOST_POINTS
    found = shown(cluster, ref)
    assert (found.every_s, found.peaks.mem_mib) == (80, 900)
    assert MOST_POINTS * 0.8 < len(found.points) <= MOST_POINTS
    assert {round(point.cpus or 0, 6) for point in found.points} == {2.0}, "thinning changes no average"


def test_a_node_that_floods_stores_no_more_than_the_bound(cluster: Cluster) -> None:
    node = cluster.a_node()
    _, ref = cluster.running(node)
    age(cluster, ref, 3 * EVERY_S * MOST_POINTS)
    for start in range(3):
        many = [said(ref, n * 20.0 + start, seconds=n) for n in range(4 * wire.MAX_SAMPLES)]
        beat(cluster, node, *many)
    assert rows(cluster) <= MOST_POINTS
    beat(cluster, node, *(said(ref, ago) for ago in (-1e12, 1e12, 1e300)))
    assert rows(cluster) <= MOST_POINTS
    assert all(0 <= point.seconds <= 3 * EVERY_S * MOST_POINTS + 60 for point in shown(cluster, ref).points)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cpu_s": float("nan")},
        {"mem_mib": float("inf")},
        {"disk_mib": -1},
        {"seconds": -0.1},
        {"seconds": 1e300},
        {"cpu_s": "many"},
        {"at": float("nan")},
        {"token": "x" * 65},
    ],
)
def test_values_that_nothing_can_have_used_are_refused_by_name(wrong: dict[str, Any]) -> None:
    one = said(NOBODY, **wrong)
    with pytest.raises(ValidationError) as refused:
        wire.HeartbeatBody.model_validate({**EMPTY, "usage": [one]})
    assert refused.value.errors()[0]["loc"] == ("usage", 0, next(iter(wrong)))


def test_one_heartbeat_has_a_bounded_number_of_samples() -> None:
    one = said(NOBODY)
    with pytest.raises(ValidationError, match="at most 250 items"):
        wire.HeartbeatBody.model_validate({**EMPTY, "usage": [one] * 251})


def test_samples_count_only_from_the_node_and_attempt_that_claimed_with_their_token(cluster: Cluster) -> None:
    node = cluster.a_node("alpha")
    _, ref = cluster.running(node)
    other = cluster.a_node("beta")
    beat(cluster, other, said(ref))
    beat(
        cluster,
        node,
        said(ref, token="another-token-of-16"),
        said(ref, attempt=ref[1] + 1),
        said((ExecutionId(ref[0] + 1), Attempt(1))),
    )
    assert rows(cluster) == 0
    beat(cluster, node, said(ref))
    assert rows(cluster) == 1


def test_what_comes_after_the_end_is_kept_for_a_while_and_then_no_more(cluster: Cluster) -> None:
    node = cluster.a_node()
    _, ref = cluster.running(node)
    assert cluster.report(node, ref).accepted
    beat(cluster, node, said(ref))
    assert rows(cluster) == 1
    cluster.change("DELETE FROM usage_samples")
    cluster.change("ALTER TABLE executions DISABLE TRIGGER USER")  # nothing of an ended one may be changed
    cluster.change("UPDATE executions SET released_at = now() - interval '11 minutes'")
    cluster.change("ALTER TABLE executions ENABLE TRIGGER USER")
    beat(cluster, node, said(ref))
    assert rows(cluster) == 0


def test_each_try_has_samples_of_its_own(cluster: Cluster) -> None:
    node = cluster.a_node()
    job_id, first = cluster.running(node, max_tries=2)
    beat(cluster, node, said(first, mem_mib=100))
    cluster.report(node, first, "failed", error="unknown-exit")
    cluster.change("UPDATE jobs SET not_before = NULL WHERE id = :id", id=job_id)
    cluster.tick()
    second = cluster.execution_of(job_id)
    assert cluster.claim(node, second).granted
    beat(cluster, node, said(second, mem_mib=700))
    assert [[point.mem_mib for point in shown(cluster, ref).points] for ref in (first, second)] == [[100], [700]]


def test_a_heartbeat_with_nothing_but_samples_stays_a_plain_one(cluster: Cluster) -> None:
    plain = a_node(cluster)
    node = wire.Registered(node_id=plain.node_id, epoch=plain.epoch, beat_s=2, lease_s=90, keep=[], kill=[])
    _, ref = cluster.running(node)
    body = wire.HeartbeatBody.model_validate(
        {
            "node_id": plain.node_id,
            "epoch": plain.epoch,
            "holding": 1,
            "usage": [said(ref)],
            "load": {"clock": time.time()},
        }
    )
    gathering = HeartbeatGathering(cluster.rt)
    assert node_protocol.plain_beat(cluster.rt, gathering, body, plain.credential) is not None
    assert rows(cluster) == 1


def test_other_projects_executions_are_not_there(cluster: Cluster) -> None:
    node = cluster.a_node()
    _, ref = cluster.running(node)
    stranger = Caller(
        2, "eve", Role.ADMIN, project_id=cluster.value("INSERT INTO projects (name) VALUES ('other') RETURNING id")
    )
    with pytest.raises(NotFound):
        usage.show(cluster.rt, stranger, ref[0])


def test_samples_go_with_their_execution(cluster: Cluster) -> None:
    node = cluster.a_node()
    job_id, ref = cluster.running(node)
    beat(cluster, node, said(ref))
    cluster.report(node, ref)
    cluster.change("UPDATE jobs SET last_modified = now() - interval '1000 days' WHERE id = :id", id=job_id)
    cluster.change("UPDATE projects SET retention = '{\"completed_days\": 1}'")
    Sweep(cluster.rt).run()
    assert cluster.query("SELECT id FROM executions") == []
    assert rows(cluster) == 0


def test_a_heartbeat_counts_whatever_becomes_of_its_samples(database_url: str) -> None:
    cluster = Cluster(database_url, retry_first_s=0, lock_timeout_s=0.1)
    node = cluster.a_node()
    _, ref = cluster.running(node)
    with cluster.rt.db.begin() as tx:
        tx.execute(text("LOCK TABLE usage_samples IN ACCESS EXCLUSIVE MODE"))
        beat(cluster, node, said(ref))
    assert cluster.value("SELECT seq FROM beats WHERE node_id = :id", id=node.node_id) >= 1
    assert rows(cluster) == 0
    beat(cluster, node, said(ref))
    assert rows(cluster) == 1
    cluster.close()
