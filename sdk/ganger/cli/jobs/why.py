"""`ganger why`: why a job waits, what would help, where it ran, why it failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganger import NotFound
from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.job_ids import JobId
from ganger.cli.jobs import failure
from ganger.cli.options import Json, expanded
from ganger.documents import JsonObject

if TYPE_CHECKING:
    from ganger import Client
    from ganger.answers import WaitHistoryView, WaitSpanView

WAIT_HEADINGS = ("FROM", "TO", "FOR", "REASON", "BECAUSE")
_MOST_NAMED = 3
SOON_S = 1.0
TOLD_FROM_S = 30.0
"""Of a shorter wait nothing is said unless somebody asks."""


@expanded
def why(
    job_id: JobId,
    *,
    trial: Annotated[
        bool, typer.Option("--try", help="Try what would help: what would become of the job then. Nothing is changed.")
    ] = False,
    change: Annotated[
        list[str] | None, typer.Option(help="Try only this: FIX or FIX=SUBJECT, as --json names it.")
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Where its wait went: each reason, from when to when.")
    ] = False,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Say why a job waits and what would help, where it ran, or why it failed.

    [bold]ganger why 12[/]

    [bold]ganger why 12 --try --change release-the-hold[/]

    [bold]ganger why 12 --history[/]
    """
    if history:
        _history(connection, job_id, as_json=as_json)
        return
    if trial or change:
        _try(connection, job_id, change or [], as_json=as_json)
        return
    with connection.client() as api:
        explanation = api.jobs.explain(job_id)
        told = "" if as_json else waited(api, job_id)
        failed = not as_json and bool(explanation.get("failure"))
        last = failure.last_lines(api, api.jobs.get(job_id)) if failed else []
    if as_json:
        screen.document(explanation)
        return
    screen.text(str(explanation.get("summary") or explanation.get("status")))
    for line in lines(explanation):
        screen.text(f"  {line}")
    if told:
        screen.text(f"  waited {told}")
    for line in last:
        screen.text(f"  it wrote: {line}")
    if failed:
        screen.note(f"all that it wrote: ganger logs {job_id}")


def _try(connection: Connection, job_id: int, words: Sequence[str], *, as_json: bool) -> None:
    pairs = [word.partition("=") for word in words]
    with connection.client() as api:
        told = api.scheduler.try_changes(job_id, [{"fix": fix, "subject": subject} for fix, _, subject in pairs])
    if as_json:
        screen.document(told)
        return
    screen.text(str(told["summary"]))
    for one in told["changes"]:
        screen.text(f"  still: {one['description']}")


def _history(connection: Connection, job_id: int, *, as_json: bool) -> None:
    with connection.client() as api:
        found = api.scheduler.waits(job_id)
    if as_json:
        screen.document(found)
        return
    screen.table(WAIT_HEADINGS, (_wait_row(one) for one in found["results"]), empty="it has not waited")
    if found["is_cut"]:
        screen.note(f"the beginning is left out; altogether it waited {_totals(found)}")


def _wait_row(one: WaitSpanView) -> Sequence[object]:
    began, ended = datetime.fromisoformat(one["began"]), one["ended"]
    until = "" if ended is None else screen.moment(datetime.fromisoformat(ended))
    return screen.moment(began), until, screen.duration(one["seconds"]), one["reason"], one["description"]


def waited(api: Client, job_id: int) -> str:
    """Return how long a job waited, and for what, in a few words; nothing for a short wait, or a server that does not tell."""
    try:
        found = api.scheduler.waits(job_id)
    except NotFound:
        return ""
    return _totals(found) if found["waited_s"] >= TOLD_FROM_S else ""


def _totals(found: WaitHistoryView) -> str:
    named = [f"{screen.duration(one['seconds'])} {one['description']}" for one in found["totals"][:_MOST_NAMED]]
    more = len(found["totals"]) - _MOST_NAMED
    parts = "; ".join(named) + (f"; {more} more" if more > 0 else "")
    return f"{screen.duration(found['waited_s'])}: {parts}"


def lines(explanation: Mapping[str, Any]) -> Iterator[str]:
    """Yield what stands behind the summary, a line each; the first reason is the summary already."""
    for reason in (explanation.get("reasons") or [])[1:]:
        yield f"also: {reason['description']}"
    for one in explanation.get("borrowed") or ():
        yield one["description"]
    if (reuse := explanation.get("reuse")) is not None and "reused" in reuse:
        yield str(reuse)
    blocked_by = explanation.get("blocked_by") or {}
    for one in blocked_by.get("helps") or ():
        yield one["description"]
    if explanation.get("nodes"):
        yield from _future(explanation)
    tries = explanation.get("tries") or {}
    if tries.get("done"):
        forgiven = tries.get("forgiven") or 0
        more = f", and {forgiven} that {'is' if forgiven == 1 else 'are'} not charged" if forgiven else ""
        yield f"tries: {tries['done'] - forgiven} of {tries.get('max')}{more}"
    last = explanation.get("placement")
    if last:
        yield from _placement(last, of_gang=bool(explanation.get("members")))
    failure = explanation.get("failure")
    if failure:
        again = "" if failure.get("should_be_retried") else "; not worth another try"
        yield f"error: {failure['error']} ({failure.get('category')}{again}): {failure.get('description') or failure.get('title')}"


def _future(explanation: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is to come for a job that waits."""
    nearest, nodes, queue, share = (
        explanation["nearest"],
        explanation["nodes"],
        explanation["queue"],
        explanation["share"],
    )
    if nearest and not nodes["usable"]:
        yield f"nearest: {nearest['description']}"
    if queue["ahead"] or queue["position"]:
        yield f"before it in the queue: {queue['ahead']} by priority and age, {queue['position'] or 0} that ask for the same"
    first = share["projects_ahead"]
    if first:
        goes = "waiting project goes" if first == 1 else "waiting projects go"
        yield f"share: {share['project']} holds {share['share']:.1%} of the fleet; {first} {goes} first by share and what is owed"
    kept = explanation["reservation"]
    if kept:
        named = ", ".join(node["name"] for node in kept["nodes"][:_MOST_NAMED])
        more = len(kept["nodes"]) - _MOST_NAMED
        yield f"room is kept for it on {named}" + (f" and {more} more" if more > 0 else "")
    expected = _expected(explanation["expected_start"])
    if expected:
        yield f"expected to start {expected}"
    changes = [change["description"] for change in explanation["changes"]]
    if changes:
        yield "it could start at once if you " + ", and ".join(changes)


def _expected(band: Mapping[str, Any]) -> str:
    """Return when a job will probably start, from now; nothing where that cannot be said."""
    ends = [None if band[edge] is None else _from_now(band[edge]) for edge in ("earliest", "latest")]
    if ends[0] is None:
        return ""
    if ends[1] is None:
        return f"in {screen.duration(ends[0])} at the earliest"
    if ends[1] < SOON_S:
        return "at once"
    if ends[0] < SOON_S:
        return f"within {screen.duration(ends[1])}"
    return f"in {screen.duration(ends[0])} to {screen.duration(ends[1])}"


def _from_now(moment: str) -> float:
    return max(0.0, (datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds())


def _placement(last: JsonObject, *, of_gang: bool) -> Iterator[str]:
    code = last.get("exit_code")
    ended = f", exit code {code}" if code is not None else ""
    which = f"attempt {last.get('attempt')}" + (f", member {last['member']}" if of_gang else "")
    yield f"last try: {last['job_exe']['status']} on {last['node']['name']} ({which}){ended}"
    if last.get("why"):
        yield f"placed there: {last['why']}"
    if last.get("remark"):
        yield last["remark"]
    elif last.get("message"):
        yield f"it says: {last['message']}"
