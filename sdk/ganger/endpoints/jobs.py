"""Jobs: submit, find, follow, cancel, requeue, wait."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from ganger import paging
from ganger.answers import Explanation, TriedView
from ganger.documents import JsonObject
from ganger.endpoints import awaiting
from ganger.endpoints.awaiting import IDS_PER_CALL, WAIT_PATIENCE_S, JobChanges, WaitTime
from ganger.errors import TimedOut
from ganger.paging import Filter, ResultPage
from ganger.records import Event, Execution, Job, Operation
from ganger.requests import JobRequest, refuse_text
from ganger.transport import Call, Transport

SHORTEST_POLL_S, LONGEST_POLL_S = 0.05, 2.0
ALIVE = frozenset({"QUEUED", "RUNNING"})


@dataclass(frozen=True, slots=True)
class JobsEndpoint:
    """The jobs that the token may see."""

    _transport: Transport

    def submit(self, request: JobRequest, *, strict: bool = False) -> Job:
        """Create a job and return it in full. Safe against broken connections: it is created once.

        With `strict`, a job that no node could ever run is refused, instead of accepted and explained.
        Raises InvalidRequest naming the field, Conflict for a key that was used for another request.
        """
        key = request.idempotency_key or str(uuid.uuid4())
        body = replace(request, idempotency_key=None).document()
        return Job.read(self._submit(body, {"Idempotency-Key": key}, strict=strict))

    def submit_many(
        self, requests: Sequence[JobRequest | Mapping[str, object]], *, key: str | None = None, strict: bool = False
    ) -> Sequence[int]:
        """Create up to 10,000 jobs, all or none; returns their ids in order. A mapping is a body of `POST /jobs/`. As safe as `submit`."""
        bodies = _bodies(requests)
        if any("idempotency_key" in body for body in bodies):
            bodies = [{"idempotency_key": str(uuid.uuid4()), **body} for body in bodies]
            headers = {}
        else:
            headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        return [int(job_id) for job_id in self._submit(bodies, headers, strict=strict)["job_ids"]]

    def dry_run(
        self, requests: Sequence[JobRequest | Mapping[str, object]], *, strict: bool = False
    ) -> Sequence[TriedView]:
        """Return for each of up to 100 jobs whether it would `start`, on which `node`, `wait`, or be `refuse`d, and why. Raises as `submit`."""
        bodies = _bodies(requests)
        query = (("dry_run", "true"), *((("strict", "true"),) if strict else ()))
        body = bodies[0] if len(bodies) == 1 else bodies
        call = Call("POST", "/jobs/", params=query, body=body, repeatable=True)
        results: list[TriedView] = self._transport.json(call)["results"]
        return results

    def get(self, job_id: int, *, patience_s: float | None = None, wait_s: int = 0, known: Filter = None) -> Job:
        """Return a job with inputs, outputs and executions, newest first. Raises NotFound. `patience_s` replaces the client's.

        With `wait_s` (up to 60) the API answers once the status is none of `known` (without it: another than it was), at once if the job has ended.
        """
        query = paging.params({"wait": wait_s or None, "known": known})
        return Job.read(self._transport.json(Call("GET", f"/jobs/{job_id}/", params=query, patience_s=patience_s)))

    def list(self, *, limit: int | None = None, **filters: Filter) -> Iterator[Job]:
        """Yield jobs page by page; filters as in the API (`status=["RUNNING"]`, `job_type_name=…`, `order="-id"`)."""
        return paging.every(self._transport, Job, "/jobs/", paging.params(filters), limit=limit)

    def page(self, **filters: Filter) -> ResultPage[Job]:
        """Return one page of the list, with the count of all that match."""
        return paging.page(self._transport, Job, "/jobs/", paging.params(filters))

    def cancel(self, job_id: int, *, followers: bool = False) -> Job:
        """Cancel a job and return it; its processes are dead when its newest execution has ended.

        With `followers` also what waits for it and for nothing else. Safe to repeat. Raises NotFound, Conflict if it has completed.
        """
        params = [("followers", "true")] if followers else []
        call = Call("PATCH", f"/jobs/{job_id}/", params=params, body={"status": "CANCELED"}, repeatable=True)
        return Job.read(self._transport.json(call))

    def done(self, job_id: int, *, outputs: Mapping[str, object] | None = None, reason: str | None = None) -> Job:
        """Say that a FAILED or BLOCKED job is done, with these outputs, and return it. Raises NotFound, Conflict, InvalidRequest."""
        body = {"outputs": dict(outputs or {}), **({"reason": reason} if reason else {})}
        return Job.read(self._transport.json(Call("POST", f"/jobs/{job_id}/done/", body=body)))

    def requeue(self, job_ids: Sequence[int], *, priority: int | None = None) -> Operation:
        """Give FAILED and CANCELED jobs new tries; others are skipped. Returns the operation, which may still run."""
        return self.act("requeue", job_id=job_ids, priority=priority)

    def hold(self, job_ids: Sequence[int], *, reason: str | None = None) -> Operation:
        """Keep jobs that have not ended from being placed, until they are released."""
        return self.act("hold", job_id=job_ids, reason=reason)

    def release(self, job_ids: Sequence[int]) -> Operation:
        """Let held jobs go."""
        return self.act("release", job_id=job_ids)

    def pin(self, job_ids: Sequence[int], *, reason: str | None = None) -> Operation:
        """Keep jobs, their output and the files that they made or read, whatever the limits of retention say."""
        return self.act("pin", job_id=job_ids, reason=reason)

    def unpin(self, job_ids: Sequence[int]) -> Operation:
        """Let pinned jobs age again, from now on."""
        return self.act("unpin", job_id=job_ids)

    def act(
        self,
        kind: str,
        *,
        everything: bool = False,
        reason: str | None = None,
        priority: int | None = None,
        **filters: Filter,
    ) -> Operation:
        """Cancel, requeue, hold, release, pin or unpin (`kind`) every job that filters as in the list let through.

        No filter at all needs `everything`. Returns the operation, which goes on by itself; see `wait_operation`.
        """
        body = paging.document(filters) | _said(all=everything or None, reason=reason, priority=priority)
        return Operation.read(self._transport.json(Call("POST", f"/jobs/{kind}/", body=body)))

    def count_for(self, kind: str, *, everything: bool = False, **filters: Filter) -> int:
        """Return how many jobs `act` would look at; above 10,000 an estimate. Changes nothing."""
        body = paging.document(filters) | _said(all=everything or None, dry_run=True)
        return int(self._transport.json(Call("POST", f"/jobs/{kind}/", body=body, repeatable=True))["count"])

    def operation(self, operation_id: int) -> Operation:
        """Return how far a bulk action is."""
        return Operation.read(self._transport.json(Call("GET", f"/operations/{operation_id}/")))

    def executions(self, job_id: int, *, limit: int | None = None) -> Iterator[Execution]:
        """Yield a job's tries, newest first."""
        return paging.every(self._transport, Execution, f"/jobs/{job_id}/executions/", (), limit=limit)

    def events(self, job_id: int) -> Iterator[Event]:
        """Yield every change of a job's status, oldest first."""
        return paging.every(self._transport, Event, f"/jobs/{job_id}/events/", ())

    def explain(self, job_id: int) -> Explanation:
        """Return why a job waits, where it ran, or why it failed, as the API tells it."""
        return cast("Explanation", self._transport.json(Call("GET", f"/jobs/{job_id}/explain/")))

    def changes(
        self, after: str | None = None, *, wait_s: int = 0, patience_s: float | None = None, **filters: Filter
    ) -> JobChanges:
        """Return jobs that changed since a cursor, filtered as in `list`; waits up to `wait_s` (60) seconds for one.

        Without a cursor nothing but the cursor of this moment is returned.
        """
        query = paging.params({"after": after, "wait": wait_s or None, **filters})
        body = self._transport.json(Call("GET", "/jobs/changes/", params=query, patience_s=patience_s))
        return JobChanges(str(body["cursor"]), bool(body["more"]), [Job.read(entry) for entry in body["results"]])

    def await_change(self, job: Job, *, wait_s: int = 30, patience_s: float | None = None) -> Job:
        """Return a job once its status is another than it was, or it has ended, or `wait_s` seconds are over."""
        return awaiting.next_state(self, job, wait_s, patience_s)

    def wait(self, job_id: int, *, timeout_s: float | None = None, changed: Callable[[Job], None] | None = None) -> Job:
        """Return the job when it has ended; `changed` is called with it whenever its status or tries are others.

        Lives through a restart of the API. Raises TimedOut; the job goes on then.
        """
        return awaiting.one(self, job_id, self._wait_time(timeout_s), changed, timeout_s)

    def as_completed(
        self, job_ids: Iterable[int], *, timeout_s: float | None = None, changed: Callable[[Job], None] | None = None
    ) -> Iterator[Job]:
        """Yield each job, in short, when it has ended; otherwise as `wait`. Raises NotFound for a job that is not there."""
        refuse_text("job_ids", job_ids)
        return awaiting.each(self, list(job_ids), self._wait_time(timeout_s), changed, timeout_s)

    def statuses(self, job_ids: Sequence[int]) -> dict[int, Job]:
        """Return many jobs in short by id, with few calls; ids that do not exist are missing."""
        refuse_text("job_ids", job_ids)
        jobs: dict[int, Job] = {}
        for start in range(0, len(job_ids), IDS_PER_CALL):
            some = job_ids[start : start + IDS_PER_CALL]
            jobs |= {job.id: job for job in self.list(job_id=some, page_size=IDS_PER_CALL)}
        return jobs

    def wait_all(
        self, job_ids: Sequence[int], *, timeout_s: float | None = None, changed: Callable[[Job], None] | None = None
    ) -> dict[int, Job]:
        """Return all jobs, in short, when each has ended; otherwise as `wait`."""
        return {job.id: job for job in self.as_completed(job_ids, timeout_s=timeout_s, changed=changed)}

    def wait_dead(self, job_id: int, *, timeout_s: float | None = None) -> Job:
        """Return a job that has ended when nothing of it runs any more on any node. Raises TimedOut."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        pause_s = SHORTEST_POLL_S
        while True:
            job = self.get(job_id, patience_s=WAIT_PATIENCE_S)
            if job.is_final and all(execution.status not in ALIVE for execution in job.job_exes):
                return job
            if deadline is not None and time.monotonic() + pause_s > deadline:
                raise TimedOut(f"job {job_id} still has processes after {timeout_s:g} s")
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.3, LONGEST_POLL_S)

    def wait_operation(self, operation: Operation, *, changed: Callable[[Operation], None] | None = None) -> Operation:
        """Return a bulk action when it has ended; `changed` is called with it at every look."""
        pause_s = SHORTEST_POLL_S
        while operation.status == "RUNNING":
            if changed is not None:
                changed(operation)
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.3, LONGEST_POLL_S)
            operation = self.operation(operation.id)
        return operation

    def _wait_time(self, timeout_s: float | None) -> WaitTime:
        return WaitTime(timeout_s, self._transport.timeout_s)

    def _submit(self, body: object, headers: dict[str, str], *, strict: bool) -> JsonObject:
        query = (("strict", "true"),) if strict else ()
        return self._transport.json(Call("POST", "/jobs/", params=query, body=body, headers=headers, repeatable=True))


def _bodies(requests: Sequence[JobRequest | Mapping[str, object]]) -> list[JsonObject]:
    return [request.document() if isinstance(request, JobRequest) else dict(request) for request in requests]


def _said(**given: object) -> dict[str, object]:
    return {name: value for name, value in given.items() if value is not None}
