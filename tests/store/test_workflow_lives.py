"""Whole lives of workflows with chance and faults: nothing starts before its needs say so, and what nobody touches ends."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import text

from scheduler.identity import Caller, Role
from scheduler.resolver import resolver
from scheduler.rules.workflow.state import FINAL_WORKFLOW, state_of
from scheduler.store.needs import truth
from scheduler.store.workflows import workflows
from scheduler.workflows import lookup, running, upkeep, verbs
from scheduler.workflows.running import WorkflowRequest
from tests.support.api import Api
from tests.support.cluster import Cluster

ME = Caller(1, "me", Role.OPERATOR)
SEEDS = 4
JOBS = 9

# What the needs of a job say as its parents stand now, whatever was settled before: by the generated truth table, single needs.
_BY_PARENTS = text(f"""
    SELECT n.position, {truth.EFFECT} AS effect
    FROM job_needs n
    CROSS JOIN LATERAL (SELECT p.id, {truth.STATE} AS state FROM jobs p WHERE p.id = n.needs_id OFFSET 0) AS p
    WHERE n.job_id = :id
""")  # noqa: S608 - our own text


def a_definition(chance: random.Random) -> dict[str, Any]:
    """A random graph: needs of all kinds to earlier steps, failures that are excused, and one step that runs finally."""
    jobs: dict[str, Any] = {}
    for number in range(JOBS):
        earlier = chance.sample(range(number), min(number, chance.choice((0, 1, 1, 2))))
        needs = [
            {
                "job": f"j{one}",
                "after": chance.choice(("ok", "ok", "ok", "any", "fail", "start")),
                "allow_skipped": chance.random() < 0.3,
            }
            for one in earlier
        ]
        jobs[f"j{number}"] = {
            "command": ["true"],
            "max_tries": 1,
            "needs": needs,
            "allow_failure": chance.random() < 0.2,
        }
    return {
        "on_failure": chance.choice(("go_on", "go_on", "stop")),
        "jobs": jobs | {"z": {"command": ["true"], "finally": True}},
    }


def live(api: Api, cluster: Cluster, node: Any, chance: random.Random, workflow_id: int, cancel_at: int | None) -> None:
    """Let a run live: place, claim and end jobs in any order, with turns of the resolver left out at random, until nothing moves."""
    claimed: dict[int, Any] = {}
    for turn in range(200):
        if turn == cancel_at:
            verbs.cancel(api.rt, ME, workflow_id)
        if chance.random() < 0.7:
            while resolver.resolve(api.rt):
                pass
        cluster.tick()
        for row in api.query("SELECT id FROM jobs WHERE workflow_id = :id AND status = 'RUNNING'", id=workflow_id):
            if row[0] not in claimed and chance.random() < 0.6:
                claim(api, cluster, node, row[0], claimed, workflow_id)
        for job_id, ref in list(claimed.items()):
            if chance.random() < 0.5:
                cluster.report(node, ref, chance.choice(("completed", "completed", "failed")))
                del claimed[job_id]
        if not claimed and at_rest(api, workflow_id):
            return
    pytest.fail(f"workflow {workflow_id} does not end")


def claim(api: Api, cluster: Cluster, node: Any, job_id: int, claimed: dict[int, Any], workflow_id: int) -> None:
    """Claim the execution of a job; it is granted only where its needs are satisfied by where its parents stand (I-W2)."""
    ref = cluster.execution_of(job_id)
    with api.rt.db.begin() as tx:
        unsatisfied = [row for row in tx.execute(_BY_PARENTS, {"id": job_id}) if row.effect != "OK"]
    granted = cluster.claim(node, ref).granted
    if not granted:
        return
    claimed[job_id] = ref
    assert unsatisfied == [], (job_id, unsatisfied)
    facts = api.query(
        """SELECT w.canceled IS NOT NULL, m.is_finally FROM workflows w JOIN workflow_jobs m ON m.workflow_id = w.id
           WHERE w.id = :id AND m.job_id = :job""",
        id=workflow_id, job=job_id,
    )[0]  # fmt: skip
    assert not facts[0] or facts[1], "a job started after its run was cancelled"


def at_rest(api: Api, workflow_id: int) -> bool:
    """Work off what is due; tell whether nothing of a run moves any more."""
    while resolver.resolve(api.rt):
        pass
    upkeep.turn(api.rt)
    return not api.query(
        "SELECT 1 FROM jobs WHERE workflow_id = :id AND status IN ('PENDING_UPLOAD', 'PENDING', 'QUEUED', 'RUNNING')",
        id=workflow_id,
    )


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_starts_before_its_needs_and_every_run_ends(api: Api, cluster: Cluster, seed: int) -> None:
    """I-W2, I-W5, I-W9, and the part of I-W8 that the database decides: after a cancel nothing but what runs finally is claimed."""
    chance = random.Random(seed)
    node = cluster.a_node(cpus=3_000)
    workflow_id = running.run(api.rt, ME, WorkflowRequest(definition=a_definition(chance)))
    live(api, cluster, node, chance, workflow_id, cancel_at=4 if seed % 2 else None)
    found = lookup.get(api.rt, ME, workflow_id)
    with api.rt.db.begin() as tx:
        counts = workflows.counts(tx, [workflow_id])[workflow_id].counts
    assert found.row.state in FINAL_WORKFLOW
    assert found.row.state == state_of(counts, is_canceled=found.row.canceled is not None)
    assert resolver.sweep(api.rt) == 0
