"""One job on one page: what it is, why it stands where it stands, its tries, what it printed, what happened to it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from api.http.answers import respond
from api.http.executions import routes as executions
from api.http.jobs import routes as jobs
from api.ui import feed
from api.ui.pages import PageAnswer, PageRequest, Pages, PageView
from api.ui.rooms import fixes, proof
from api.ui.show import logs, timeline, usage_chart, wait_bar
from scheduler.errors import NotFound
from scheduler.rules.lifecycle.moves import JobStatus

pages = Pages()

WAITING = {JobStatus.QUEUED, JobStatus.PENDING, JobStatus.PENDING_UPLOAD, JobStatus.BLOCKED}
ENDED = {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELED}
MOST_TRIES = "200"
MOST_EVENTS = "200"
MOST_NODES = "50"
SHOWN_OUTPUT = 64 * 1024
"""Bytes of the end of the output that the page itself has; the rest is on the page of the log."""

PLAIN_END = 16 * 1024
"""Bytes of the end that the page of the log has itself, for whoever has no scripts, and to begin with: to lay out four times as many took longer than to fetch the first lines."""

MOST_DIGITS = 12

MOST_RUNS = 150
"""Runs of lines of standard error that are marked in one part of a log: they stand in a header, which proxies give 4 kB."""

HEAD = 128 * 1024
"""Bytes of the beginning that the window asks for while its scripts come: a thousand lines of usual length."""


@pages.get("/ui/jobs/<id:job_id>")
def show_job(page: PageRequest, job_id: int) -> PageAnswer:
    """One job."""
    job: dict[str, Any] = feed.ask(page, jobs.show_job, job_id=job_id)
    why = feed.ask(page, jobs.explain_job, job_id=job_id)
    tries = feed.ask(page, executions.list_executions_of_job, job_id=job_id, query={"page_size": MOST_TRIES})
    fits = None
    if job["status"] == JobStatus.QUEUED:
        fits = feed.ask(page, jobs.explain_nodes, job_id=job_id, query={"page_size": MOST_NODES})
    events = feed.ask(page, jobs.list_job_events, job_id=job_id, query={"page_size": MOST_EVENTS})
    newest = tries["results"][0] if tries["results"] else None
    waited = feed.ask(page, jobs.show_waits, job_id=job_id)
    used = _used(page, tries["results"])
    return PageView("job.html", {
        "fits": fits, "job": job, "why": why, "tries": tries, "events": events, "acts": acts(page, job),
        "timeline": timeline.draw(job, tries["results"], page.rt.now()), "waits": job["status"] in WAITING,
        "fixes": fixes.cards(page, job, why["changes"]), "proof": proof.of_cancel(page, job, tries["results"], events["results"]),
        "newest": newest, "tail": _tail(page, newest), "ended": job["status"] in ENDED,
        "used": used, "usage": used and usage_chart.draw(used), "waited": waited, "wait_bar": wait_bar.draw(waited, page.rt.now()),
    })  # fmt: skip


def _used(page: PageRequest, tries: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return what the try that the address names has used, by default the newest; None where none has begun."""
    begun = [one for one in tries if one["started"] is not None]
    named = [one for one in begun if str(one["id"]) == request.args.get("usage")]
    chosen = next(iter(named or begun), None)
    return None if chosen is None else feed.ask(page, executions.show_usage, execution_id=chosen["id"])


@pages.get("/ui/executions/<id:execution_id>/log")
def show_log(page: PageRequest, execution_id: int) -> PageAnswer:
    """The log of one try: a window that reads only what one looks at; without script its end."""
    one = feed.ask(page, executions.show_execution, execution_id=execution_id)
    stream, phase = _part_of_log()
    tail = _tail(page, one, stream, phase, most=PLAIN_END)
    others = feed.ask(page, executions.list_executions_of_job, job_id=one["job"]["id"], query={"page_size": "40"})
    return PageView("log.html", {
        "try": one, "stream": stream, "phase": phase or "", "others": others["results"], "find": request.args.get("find", ""),
        "plain_end": tail["text"] if tail else "It has printed nothing.", "at_end": one["status"] != "COMPLETED",
        "part": urlencode({"stream": stream, **({"phase": phase} if phase else {})}), "head": urlencode({"offset": 0, "limit": HEAD}),
    })  # fmt: skip


@pages.get("/ui/executions/<id:execution_id>/log/<what>")
def read_log(page: PageRequest, execution_id: int, what: str) -> PageAnswer:
    """The parts of a log as its window asks for them: index, text, search."""
    stream, phase = _part_of_log()
    named: dict[str, Any] = {"execution_id": execution_id, "stream": stream}
    asked = {name: request.args.get(name) for name in ("offset", "limit")}
    if what == "index":
        query = {"phase": phase, "skip": request.args.get("skip")}
        return respond(feed.ask(page, executions.show_log_index, query=query, **named))
    if what == "search":
        query = {name: request.args.get(name) for name in ("q", "regex", "offset", "line")}
        return respond(feed.ask(page, executions.search_log, query={"phase": phase, **query}, **named))
    if what != "text":
        raise NotFound("there is no such page")
    if stream == "combined" and _is_short(asked["limit"]):
        return _both(feed.ask(page, executions.show_log, query={"phase": phase, "format": "json", **asked}, **named))
    found = feed.ask(page, executions.show_log, query={"phase": phase, "format": "txt", **asked}, **named)
    made = found if isinstance(found, Response) else Response("")
    return Response(made.get_data(), content_type="text/plain; charset=utf-8")


def _is_short(limit: str | None) -> bool:
    return (
        limit is not None
        and limit.isascii()
        and limit.isdigit()
        and len(limit) < MOST_DIGITS
        and int(limit) <= executions.WHOLE_PART
    )


def _both(found: dict[str, Any] | None) -> Response:
    """Return a part of both streams as text; a header has the lines in which standard error has a part, counted from 0."""
    made = Response("" if found is None else found["text"], content_type="text/plain; charset=utf-8")
    runs = [] if found is None else found["stderr_lines"][:MOST_RUNS]
    made.headers["X-Stderr-Lines"] = ",".join(f"{first}-{last}" for first, last in runs)
    return made


@pages.get("/ui/executions/<id:execution_id>/logs/<stream>")
def show_raw_log(page: PageRequest, execution_id: int, stream: str) -> PageAnswer:
    """All that one try printed, as plain text in a page that may do nothing, or as a file."""
    phase = request.args.get("phase") or None
    answer = feed.ask(page, executions.show_log, execution_id=execution_id, stream=stream,
                      query={"phase": phase, "format": "txt"})  # fmt: skip
    made = answer if isinstance(answer, Response) else Response("", content_type="text/plain; charset=utf-8")
    made.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    if request.args.get("download"):
        name = f"execution-{execution_id}-{stream}{'-' + phase if phase else ''}.log"
        made.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return made


def _part_of_log() -> tuple[str, str | None]:
    stream = request.args.get("stream", "combined")
    return stream if stream in executions.STREAMS else "combined", request.args.get("phase") or None


def _tail(
    page: PageRequest,
    newest: dict[str, Any] | None,
    stream: str = "combined",
    phase: str | None = None,
    *,
    most: int = SHOWN_OUTPUT,
) -> dict[str, Any] | None:
    """Return the end of what the newest try printed; None where it is kept no longer, or nothing was printed."""
    if newest is None or newest["output_purged"] is not None:
        return None
    query = {"tail": str(most), "format": "json", "phase": phase}
    found = feed.ask(page, executions.show_log, execution_id=newest["id"], stream=stream, query=query)
    if found is None:
        return None
    text = logs.readable(found["text"])
    return {"text": text, "shown": found["next_offset"] - found["offset"], "left_out": found["offset"]}


def acts(page: PageRequest, job: dict[str, Any]) -> list[str]:
    """Return what this caller may do to this job now."""
    if not page.may("submitter"):
        return []
    found = []
    if job["status"] not in ENDED:
        if page.may("operator"):
            found.append("release" if job["is_held"] else "hold")
        found.append("cancel")
    if job["status"] in {JobStatus.FAILED, JobStatus.CANCELED}:
        found.append("requeue")
    if job["status"] in {JobStatus.FAILED, JobStatus.BLOCKED} and page.may("operator"):
        found.append("done")
    found.append("unpin" if job["is_pinned"] else "pin")
    return found
