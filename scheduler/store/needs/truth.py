"""The truth table of needs as SQL: made from `rules.lifecycle.needs`, so that there is one table and not two."""

from __future__ import annotations

from scheduler.rules.lifecycle import needs
from scheduler.rules.lifecycle.needs import NeedEffect, NeedKind, ParentState

STATE = """CASE
        WHEN p.status IN ('COMPLETED', 'FAILED', 'BLOCKED') THEN p.status
        WHEN p.status = 'CANCELED' AND p.is_skipped THEN 'SKIPPED'
        WHEN p.status = 'CANCELED' THEN CASE WHEN p.num_exes > 0 THEN 'CANCELED' ELSE 'UNSTARTED' END
        WHEN p.status = 'RUNNING' AND p.started IS NOT NULL THEN 'STARTED'
        ELSE 'WAITING'
    END"""
"""Where the job `p` stands as a parent: `needs.state_of`."""


def _literal(effect: NeedEffect) -> str:
    return "NULL" if effect is NeedEffect.WAITS else f"'{effect}'"


def _by_state(kind: NeedKind, *, allow_skipped: bool) -> str:
    cases = " ".join(
        f"WHEN '{state}' THEN {_literal(needs.effect(kind, state, allow_skipped=allow_skipped))}"
        for state in ParentState
    )
    return f"CASE p.state {cases} END"


EFFECT = (
    "CASE "
    + " ".join(
        f"WHEN n.after = '{kind}' AND n.allow_skipped = {str(allowed).lower()} THEN {_by_state(kind, allow_skipped=allowed)}"
        for kind in NeedKind
        for allowed in (False, True)
    )
    + " END"
)
"""What the parent `p` in its `state` makes of the need `n`: `needs.effect`."""


def _states(*effects: NeedEffect) -> str:
    """Return the array of states that have one of these effects on the need `n`."""
    cases = []
    for kind in NeedKind:
        for allowed in (False, True):
            states = [one for one in ParentState if needs.effect(kind, one, allow_skipped=allowed) in effects]
            listed = ", ".join(f"'{one}'" for one in states if one is not ParentState.WAITING)
            cases.append(
                f"WHEN n.after = '{kind}' AND n.allow_skipped = {str(allowed).lower()} THEN ARRAY[{listed}]::text[]"
            )
    return f"CASE {' '.join(cases)} END"


def _some(condition: str) -> str:
    return f"EXISTS (SELECT FROM group_members m WHERE m.group_id = n.group_id AND {condition})"


_OK = _some(f"m.outcome = ANY({_states(NeedEffect.OK)})")
_WAITS = f"(g.is_open OR {_some('m.outcome IS NULL')} OR {_some(f'm.outcome = ANY({_states(NeedEffect.WAITS)})')})"
_UNNEEDED = _some(f"m.outcome = ANY({_states(NeedEffect.UNNEEDED)})")
_BROKEN = _some(f"m.outcome = ANY({_states(NeedEffect.BROKEN)})")
_BAD = f"""(SELECT count(*) FROM (
        SELECT FROM group_members m
        WHERE m.group_id = n.group_id AND m.outcome = ANY({_states(NeedEffect.BROKEN, NeedEffect.UNNEEDED)})
        LIMIT n.tolerate + 1
    ) AS bad)"""  # noqa: S608 - our own text

GROUP_EFFECT = f"""CASE
        WHEN n.any_member OR n.after = 'FAIL' THEN CASE
            WHEN {_OK} THEN 'OK' WHEN {_WAITS} THEN NULL WHEN {_BROKEN} THEN 'BROKEN' ELSE 'UNNEEDED' END
        WHEN {_BAD} > n.tolerate THEN CASE WHEN {_UNNEEDED} THEN 'UNNEEDED' ELSE 'BROKEN' END
        WHEN {_WAITS} THEN NULL
        ELSE 'OK'
    END"""
"""What the members of the group `g` make of the need `n`: `needs.of_all` and `needs.of_any`, by short looks into one index."""

VERDICT = """CASE
        WHEN EXISTS (SELECT FROM job_needs n WHERE n.job_id = j.id AND n.settled = 'UNNEEDED') THEN 'SKIP'
        WHEN EXISTS (SELECT FROM job_needs n WHERE n.job_id = j.id AND n.settled = 'BROKEN') THEN 'BLOCK'
        WHEN EXISTS (SELECT FROM job_needs n WHERE n.job_id = j.id AND n.settled IS NULL) THEN 'WAIT'
        ELSE 'READY'
    END"""
"""What becomes of the job `j` by its needs: `needs.verdict`."""
