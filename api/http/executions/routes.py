"""Executions: each try of a job on a node, and what its program printed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from flask import Response

from api.http import api_runtime, paging
from api.http.answers import Answer
from api.http.auth import TokenWatch
from api.http.executions import log_page, view
from api.http.executions.answer_schema import ExecutionDetail, ExecutionList, UsageView
from api.http.executions.log_answer_schema import JobLogSearchView, LogIndexView, LogSearchView, LogView
from api.http.executions.log_schema import JobLogSearchQuery, LogIndexQuery, LogQuery, LogSearchQuery
from api.http.executions.schema import ExecutionsQuery, OfOneJobQuery
from api.http.problems import asks_for_json
from api.http.routing import ApiCall, Routes
from api.http.schema import times
from scheduler.errors import NotFound
from scheduler.executions import output, usage
from scheduler.executions.logs import index, job_search, patterns, search
from scheduler.executions.logs.index import LogIndexes
from scheduler.executions.output import OutputPiece, OutputSelection, OutputSoFar
from scheduler.identifiers import ExecutionId, JobId
from scheduler.identity import Role
from scheduler.jobs import queries
from scheduler.store.executions import listing
from scheduler.store.executions.listing import ExecutionFilter

routes = Routes("executions")
ORDERS = tuple(listing.KEYS)
STREAMS = ("stdout", "stderr", "combined")
WHOLE_PART = 4 * 1024**2
"""Bytes: as much as is asked for as JSON is in one answer; of more, what one reading has."""

_indexes = LogIndexes()
TEXT = {"schema": {"type": "string"}}
LOG = {
    "content": {
        "text/plain": TEXT,
        "application/json": {"schema": {"$ref": "#/components/schemas/LogView"}},
        "text/html": TEXT,
        "text/event-stream": TEXT,
    }
}


@routes.get("/job-executions/", role=Role.VIEWER, answers={200: ExecutionList}, orders=ORDERS)
def list_executions(call: ApiCall, query: ExecutionsQuery) -> ExecutionList:
    """Executions of all jobs, filtered and ordered; by default the longest unchanged first."""
    chosen = replace(
        _filter(call, query),
        job_id=tuple(query.job_id),
        job_type_id=tuple(query.job_type_id),
        job_type_name=tuple(query.job_type_name),
        job_type_category=tuple(query.job_type_category),
    )
    asked = paging.window(query, ORDERS, ["last_modified"])
    return paging.envelope(queries.executions(call.rt, call.caller, chosen, asked), asked, view.entry)


@routes.get("/jobs/<id:job_id>/executions/", role=Role.VIEWER, answers={200: ExecutionList}, orders=ORDERS)
def list_executions_of_job(call: ApiCall, job_id: JobId, query: OfOneJobQuery) -> ExecutionList:
    """Executions of one job, newest first."""
    asked = paging.window(query, ORDERS, ["-attempt", "member"])
    found = queries.executions_of(call.rt, call.caller, job_id, _filter(call, query), asked)
    return paging.envelope(found, asked, view.entry)


@routes.get("/job-executions/<id:execution_id>/", role=Role.VIEWER, answers={200: ExecutionDetail})
def show_execution(call: ApiCall, execution_id: ExecutionId) -> ExecutionDetail:
    """One execution in full."""
    return view.detail(*queries.execution(call.rt, call.caller, execution_id))


@routes.get("/job-executions/<id:execution_id>/usage/", role=Role.VIEWER, answers={200: UsageView})
def show_usage(call: ApiCall, execution_id: ExecutionId) -> UsageView:
    """The cpus, memory and disk that an execution uses over time, beside what it asked for: at most 500 points, kept as long as it is."""
    return view.usage(usage.show(call.rt, call.caller, execution_id))


@routes.get("/job-executions/<id:execution_id>/logs/<stream>/", role=Role.VIEWER, answers={200: LOG, 204: None})
def show_log(
    call: ApiCall, execution_id: ExecutionId, stream: str, query: LogQuery
) -> Answer[None] | LogView | Response:
    """The output of the program: stdout, stderr or combined; as text, JSON or a page by `format`, or followed as it comes.

    Without `format` it is JSON for a client that asks for it in Accept, else text.
    """
    _require_stream(stream)
    since = times.moment(query.started, "started", call.rt.now())
    wanted = OutputSelection(execution_id, stream, query.phase, query.offset, since, query.tail, query.limit)
    watch = TokenWatch(call.rt)

    first = query.offset
    if query.tail_lines is not None:
        first = max(first, search.start_of_last_lines(call.rt, call.caller, wanted, query.tail_lines))

    def read(start: int) -> OutputSoFar:
        watch.check()
        tail = wanted.tail if start == first else None  # the end of what there was when this began
        left = None if query.limit is None else first + query.limit - start
        if left is not None and left <= 0:
            return OutputSoFar((), finished=False, status="", exit_code=None)
        return output.read(call.rt, call.caller, replace(wanted, start=start, tail=tail, limit=left))

    if query.follow:
        return api_runtime.of_this_app().streams.respond(read, first)
    printed = read(first)
    if not printed.pieces:
        return Answer(None, 204, {"X-Next-Offset": str(first)})
    form = query.format or ("json" if asks_for_json() else "txt")
    if form == "json":
        return _json(wanted, _whole(read, printed) if query.tail is not None or _is_part(query.limit) else printed)
    return log_page.respond(_all(read, printed)) if form == "html" else _text(read, printed)


@routes.get("/job-executions/<id:execution_id>/logs/<stream>/index/", role=Role.VIEWER, answers={200: LogIndexView})
def show_log_index(call: ApiCall, execution_id: ExecutionId, stream: str, query: LogIndexQuery) -> LogIndexView:
    """Where the lines of the output begin, every thousandth; and when that was printed. Made when it is first asked for, a part with each call."""
    _require_stream(stream)
    found = _indexes.read(call.rt, call.caller, OutputSelection(execution_id, stream, query.phase))
    return {
        "execution_id": execution_id,
        "stream": stream,
        "phase": query.phase,
        "size_bytes": found.size,
        "lines": found.lines,
        "every": index.EVERY,
        "offsets": found.offsets[query.skip :],
        "times": found.times[query.skip :],
        "is_complete": found.complete,
        "is_finished": found.finished,
    }


@routes.get("/job-executions/<id:execution_id>/logs/<stream>/search/", role=Role.VIEWER, answers={200: LogSearchView})
def search_log(call: ApiCall, execution_id: ExecutionId, stream: str, query: LogSearchQuery) -> LogSearchView:
    """The lines of the output that hold a text, or match a pattern."""
    _require_stream(stream)
    since = times.moment(query.started, "started", call.rt.now())
    wanted = OutputSelection(execution_id, stream, query.phase, query.offset, since)
    matcher = patterns.matcher(query.q, regex=query.regex, any_case=query.any_case)
    return view.log_search(search.search(call.rt, call.caller, wanted, matcher, line=query.line))


@routes.get("/jobs/<id:job_id>/logs/<stream>/search/", role=Role.VIEWER, answers={200: JobLogSearchView})
def search_logs_of_job(call: ApiCall, job_id: JobId, stream: str, query: JobLogSearchQuery) -> JobLogSearchView:
    """The lines that hold a text, or match a pattern, in the output of every try and member of a job: the newest try first, member by member."""
    _require_stream(stream)
    since = times.moment(query.started, "started", call.rt.now())
    first = None if query.execution_id is None else ExecutionId(query.execution_id)
    place = (first, query.offset, query.line)
    wanted = job_search.JobLogSelection(job_id, stream, query.phase, since, tuple(query.attempt))
    matcher = patterns.matcher(query.q, regex=query.regex, any_case=query.any_case)
    return view.job_log_search(job_search.search(call.rt, call.caller, wanted, matcher, place))


def _require_stream(stream: str) -> None:
    if stream not in STREAMS:
        raise NotFound(f"there is no stream {stream[:40]!r}; the streams are {', '.join(STREAMS)}")


def _json(wanted: OutputSelection, printed: OutputSoFar) -> LogView:
    text = b"".join(piece.data for piece in printed.pieces)
    return {
        "execution_id": wanted.execution_id,
        "stream": wanted.stream,
        "phase": wanted.phase,
        "offset": printed.pieces[0].start,
        "next_offset": printed.pieces[-1].end,
        "text": text.decode("utf-8", "replace"),
        "stderr_lines": _stderr_lines(printed.pieces),
        "is_finished": printed.finished,
    }


def _is_part(limit: int | None) -> bool:
    """Tell whether so many bytes are few enough to be in one answer, in however many pieces they were printed."""
    return limit is not None and limit <= WHOLE_PART


def _stderr_lines(pieces: Sequence[OutputPiece]) -> list[tuple[int, int]]:
    """Return the runs of lines, counted from the first piece, that standard error has a part in."""
    runs: list[tuple[int, int]] = []
    line = 0
    for piece in pieces:
        following = line + piece.data.count(b"\n")
        last = following - piece.data.endswith(b"\n")
        if piece.stream == "stderr" and piece.data:
            if runs and runs[-1][1] >= line - 1:
                runs[-1] = (runs[-1][0], last)
            else:
                runs.append((line, last))
        line = following
    return runs


def _text(read: Callable[[int], OutputSoFar], printed: OutputSoFar) -> Response:
    return Response((piece.data for piece in _all(read, printed)), content_type="text/plain; charset=utf-8")


def _all(read: Callable[[int], OutputSoFar], printed: OutputSoFar) -> Iterator[OutputPiece]:
    """Yield all pieces so far, those of the first reading and those beyond it."""
    while printed.pieces:
        yield from printed.pieces
        if len(printed.pieces) < output.MAX_PIECES:
            return
        printed = read(printed.pieces[-1].end)


def _whole(read: Callable[[int], OutputSoFar], printed: OutputSoFar) -> OutputSoFar:
    """Return all that follows too: the end that was asked for may be in more pieces than one reading has."""
    return replace(printed, pieces=tuple(_all(read, printed)))


def _filter(call: ApiCall, query: OfOneJobQuery) -> ExecutionFilter:
    started, ended = times.window(query.started, query.ended, call.rt.now())
    return ExecutionFilter(
        started=started,
        ended=ended,
        status=tuple(query.status),
        node=tuple(query.node),
        node_id=tuple(query.node_id),
        error_id=tuple(query.error_id),
        error_category=tuple(query.error_category),
    )
