"""Needs: the truth table in full, and that the order in which jobs end does not change where they end."""

from __future__ import annotations

import itertools
import random

import pytest

from scheduler.rules.lifecycle import needs
from scheduler.rules.lifecycle.moves import JOB_MOVES, JobStatus
from scheduler.rules.lifecycle.needs import GroupTally, NeedEffect, NeedKind, NeedVerdict, ParentState
from tests.support.needs_graph import begin, random_graph, settle

OK, BROKEN, UNNEEDED, WAITS = NeedEffect.OK, NeedEffect.BROKEN, NeedEffect.UNNEEDED, NeedEffect.WAITS

TABLE = """
    COMPLETED   OK       OK    UNNEEDED  OK
    FAILED      BROKEN   OK    OK        OK
    CANCELED    BROKEN   OK    UNNEEDED  OK
    UNSTARTED   BROKEN   OK    UNNEEDED  BROKEN
    SKIPPED     UNNEEDED OK    UNNEEDED  UNNEEDED
    BLOCKED     BROKEN   OK    UNNEEDED  BROKEN
    STARTED     WAITS    WAITS WAITS     OK
    WAITING     WAITS    WAITS WAITS     WAITS
"""
"""The truth table as it is promised; kinds in the order OK, ANY, FAIL, START."""


def test_the_truth_table_is_the_promised_one() -> None:
    rows = [line.split() for line in TABLE.strip().splitlines()]
    promised = {
        (kind, ParentState(state)): NeedEffect(effect)
        for state, *effects in rows
        for kind, effect in zip(NeedKind, effects, strict=True)
    }
    assert promised == needs.EFFECTS


def test_a_skipped_parent_satisfies_only_where_that_is_allowed() -> None:
    effects = [needs.effect(kind, ParentState.SKIPPED, allow_skipped=True) for kind in NeedKind]
    assert effects == [OK, OK, UNNEEDED, OK]


@pytest.mark.parametrize(
    ("status", "facts", "state"),
    [
        ("QUEUED", {}, "WAITING"),
        ("QUEUED", {"num_exes": 1}, "WAITING"),
        ("PENDING_UPLOAD", {}, "WAITING"),
        ("RUNNING", {}, "WAITING"),
        ("RUNNING", {"num_exes": 1, "is_claimed": True}, "STARTED"),
        ("CANCELED", {}, "UNSTARTED"),
        ("CANCELED", {"num_exes": 2}, "CANCELED"),
        ("CANCELED", {"is_skipped": True}, "SKIPPED"),
        ("BLOCKED", {}, "BLOCKED"),
        ("FAILED", {"num_exes": 1}, "FAILED"),
    ],
)
def test_where_a_job_stands_as_a_parent(status: str, facts: dict[str, int], state: str) -> None:
    given = {"is_skipped": False, "num_exes": 0, "is_claimed": False, **facts}
    assert needs.state_of(JobStatus(status), **given) is ParentState(state)  # type: ignore[arg-type]  # of each kind


def test_not_needed_comes_before_broken_and_broken_before_waiting() -> None:
    for effects in itertools.product(NeedEffect, repeat=3):
        expected = (
            NeedVerdict.SKIP
            if UNNEEDED in effects
            else NeedVerdict.BLOCK
            if BROKEN in effects
            else NeedVerdict.WAIT
            if WAITS in effects
            else NeedVerdict.READY
        )
        assert needs.verdict(effects) is expected
    assert needs.verdict([]) is NeedVerdict.READY


@pytest.mark.parametrize(
    ("effects", "tolerate", "of_all", "of_any"),
    [
        ([], 0, OK, UNNEEDED),
        ([OK, OK], 0, OK, OK),
        ([OK, WAITS], 0, WAITS, OK),
        ([OK, BROKEN], 0, BROKEN, OK),
        ([OK, BROKEN], 1, OK, OK),
        ([BROKEN, BROKEN, OK], 1, BROKEN, OK),
        ([BROKEN, WAITS], 1, WAITS, WAITS),
        ([BROKEN, WAITS], 0, BROKEN, WAITS),
        ([BROKEN, BROKEN], 0, BROKEN, BROKEN),
        ([UNNEEDED, BROKEN], 0, UNNEEDED, BROKEN),
        ([UNNEEDED, UNNEEDED], 2, OK, UNNEEDED),
        ([UNNEEDED, UNNEEDED], 1, UNNEEDED, UNNEEDED),
        ([UNNEEDED, WAITS], 1, WAITS, WAITS),
    ],
)
def test_needs_for_groups(effects: list[NeedEffect], tolerate: int, of_all: NeedEffect, of_any: NeedEffect) -> None:
    tally = GroupTally.of(effects)
    assert (needs.of_all(tally, tolerate), needs.of_any(tally)) == (of_all, of_any)


@pytest.mark.parametrize("status", [JobStatus.PENDING, JobStatus.BLOCKED, JobStatus.CANCELED])
@pytest.mark.parametrize("verdict", NeedVerdict)
def test_a_verdict_makes_only_moves_that_there_are(status: JobStatus, verdict: NeedVerdict) -> None:
    for later in (False, True):
        at = status
        for event in needs.moves_by(status, verdict, later=later):
            assert at in JOB_MOVES[event].sources
            at = JOB_MOVES[event].target


def test_the_order_of_ends_changes_no_final_state() -> None:
    """Confluence on 1,500 random graphs, each in eight orders: none has two outcomes, and none leaves a job waiting."""
    for seed in range(1500):
        graph = random_graph(random.Random(seed), 3 + seed % 12)
        finals = [settle(graph, random.Random(seed * 100 + order)).final() for order in range(8)]
        assert all(one == finals[0] for one in finals), f"seed {seed}"
        assert not {status for status, _ in finals[0]} & {JobStatus.PENDING, JobStatus.QUEUED}, f"seed {seed}"


def test_a_job_is_ready_only_when_its_verdict_says_so() -> None:
    graph = random_graph(random.Random(3), 12)
    state = begin(graph)
    for number, row in enumerate(graph.needs):
        assert (state.status[number] == JobStatus.QUEUED) is not bool(row)
        assert not row or state.verdict(number) is not NeedVerdict.READY
