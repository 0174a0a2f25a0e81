"""The checks find what is broken on purpose, and nothing where all is well."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from ganger.cli.program import app
from scheduler.jobs import cancel, requeue
from scheduler.leader import invariants
from tests.support.cluster import Cluster

BREAKAGES = {
    "I2": "INSERT INTO idempotency (project_id, key, digest, job_ids) SELECT project_id, 'k', '', ARRAY[999] FROM jobs",
    "I3": "UPDATE executions SET started = NULL",
    "I4": "UPDATE executions SET released_at = now(), status = 'LOST'",
    "I5": """INSERT INTO events (job_id, event, "from", "to", attempt, actor)
             SELECT id, 'RETRY', 'COMPLETED', 'QUEUED', 1, 'x' FROM jobs""",
    "I6": "UPDATE jobs SET status = 'COMPLETED', result_attempt = 0",
    "I7": """INSERT INTO events (job_id, event, "from", "to", attempt, actor)
             SELECT id, 'CANCEL', 'RUNNING', 'CANCELED', 1, 'x' FROM jobs""",
    "I9": "UPDATE executions SET cpus = 9999",
    "I10": "UPDATE nodes SET epoch = epoch + 1, state = 'LOST'",
    "I11": "UPDATE jobs SET attempt = attempt + 1",
    "I15": """INSERT INTO events (job_id, event, "from", "to", attempt, actor)
              SELECT id, 'FAIL', 'RUNNING', 'QUEUED', 1, 'x' FROM jobs""",
}


@pytest.mark.parametrize("number", BREAKAGES)
def test_what_is_broken_on_purpose_is_found(cluster: Cluster, number: str) -> None:
    cluster.running(cluster.a_node(cpus=4000))
    assert invariants.check(cluster.rt) == []
    cluster.change(BREAKAGES[number])
    assert number in {found.number for found in invariants.check(cluster.rt)}
    assert number in {found.number for found in invariants.check(cluster.rt, hours=None)}


def test_the_leader_counts_what_it_finds_at_every_check(cluster: Cluster) -> None:
    cluster.running(cluster.a_node(cpus=4000))
    tally = invariants.ViolationCounts()
    tally.check(cluster.rt, hours=1)
    assert set(tally.found.values()) == {0}
    cluster.change(BREAKAGES["I11"])
    for _ in range(2):
        tally.check(cluster.rt, hours=1)
    assert (tally.found["I11"], tally.found["I5"]) == (2, 0)


def test_all_is_well_after_every_kind_of_end(cluster: Cluster) -> None:
    node = cluster.a_node()
    done, gone, waits = cluster.running(node), cluster.running(node), cluster.running(node, max_tries=1)
    cluster.report(node, done[1])
    cancel.cancel(cluster.rt, [gone[0]], actor="me")
    requeue.requeue(cluster.rt, [gone[0]], actor="me")
    cluster.report(node, waits[1], "failed")
    assert invariants.check(cluster.rt, hours=None) == []


def test_the_command_says_what_is_wrong_and_fails(
    cluster: Cluster, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANGER_DATABASE_URL", database_url)
    cluster.running(cluster.a_node())
    well = CliRunner().invoke(app, ["check", "--all"])
    assert (well.exit_code, well.stdout) == (0, "")
    cluster.change(BREAKAGES["I11"])
    broken = CliRunner().invoke(app, ["check"])
    assert broken.exit_code == 1
    assert "I11\tjob 1\tattempt 2, 1 executions up to 1\t" in broken.stdout
    assert '"number": "I11"' in CliRunner().invoke(app, ["check", "--json"]).stdout
