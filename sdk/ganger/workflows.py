"""Workflows: check, run, follow, draw, cancel, restart. Answers are documents as `/openapi.json` describes them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganger import paging
from ganger.documents import JsonObject
from ganger.errors import TimedOut
from ganger.paging import Filter
from ganger.transport import Call, Transport

FINAL_STATES = frozenset({"FAILED", "CANCELED", "COMPLETED"})
WAIT_PATIENCE_S = 120.0
SHORTEST_POLL_S, LONGEST_POLL_S = 0.1, 2.0
JOBS_PER_CALL = 1_000


@dataclass(frozen=True, slots=True)
class WorkflowsEndpoint:
    """The workflows that the token may see."""

    _transport: Transport

    def run(
        self, definition: str | Mapping[str, object] | None = None, *, key: str | None = None, **given: object
    ) -> JsonObject:
        """Run a workflow and return it. `definition` is a text (YAML, JSON, JSON lines) or a document; or `type` names a saved one.

        Further words are fields of the body: `inputs`, `parameters` and `assets` (by `job.input`), `name`, `project`, `labels`, `parent_job_id`.
        Safe against broken connections: it is run once. Raises InvalidRequest with everything that is wrong with it.
        """
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        body = _body(definition, given)
        return self._transport.json(Call("POST", "/workflows/", body=body, headers=headers, repeatable=True))

    def check(self, definition: str | Mapping[str, object] | None = None, **given: object) -> JsonObject:
        """Check a workflow as a run would, and return its jobs in order with a drawing. Raises InvalidRequest likewise."""
        body = _body(definition, given)
        return self._transport.json(Call("POST", "/workflows/validate/", body=body, repeatable=True))

    def change_needs(self, job_id: int, needs: Sequence[object], *, reason: str | None = None) -> JsonObject:
        """Let a PENDING or BLOCKED job wait for these jobs instead, and return it; those whose outputs it takes stay.

        `needs` are as in a submission. Raises NotFound, Conflict for a job that was queued already, InvalidRequest.
        """
        body = {"needs": list(needs), **({"reason": reason} if reason else {})}
        return self._transport.json(Call("PATCH", f"/jobs/{job_id}/", body=body, repeatable=True))

    def forget_results(self, job_type: str | None = None, project: str | None = None) -> JsonObject:
        """Let nobody reuse the results that are there of a job type (`name` or `name:version`), or of all. For operators."""
        asked = paging.params({"job_type": job_type or (), "project": project or ()})
        return self._transport.json(Call("DELETE", "/cache/", params=asked, repeatable=True))

    def get(self, workflow_id: int, *, patience_s: float | None = None) -> JsonObject:
        """Return a workflow with its state and where its jobs stand. Raises NotFound."""
        return self._transport.json(Call("GET", f"/workflows/{workflow_id}/", patience_s=patience_s))

    def list(self, *, limit: int | None = None, **filters: Filter) -> Iterator[JsonObject]:
        """Yield workflows page by page; filters as in the API (`state=["RUNNING"]`, `label="run:7"`)."""
        return self._every("/workflows/", paging.params(filters), limit)

    def _every(self, first: str, given: Sequence[tuple[str, str]], limit: int | None) -> Iterator[JsonObject]:
        path: str | None = first
        params: Sequence[tuple[str, str]] = given
        left = limit
        while path is not None and left != 0:
            page = self._transport.json(Call("GET", path, params=params))
            found = page["results"] if left is None else page["results"][:left]
            yield from found
            left = None if left is None else left - len(found)
            path, params = page["next"] and self._transport.path_of(page["next"]), ()

    def jobs(self, workflow_id: int, **filters: Filter) -> Iterator[JsonObject]:
        """Yield the jobs of a workflow by their names in it, in the order of their ids. Raises NotFound.

        Filters as in the API: `job="measure"`, `status=["FAILED", "BLOCKED"]`.
        """
        after: int | None = 0
        while after is not None:
            params = [*paging.params(filters), ("after", str(after)), ("limit", str(JOBS_PER_CALL))]
            page = self._transport.json(Call("GET", f"/workflows/{workflow_id}/jobs/", params=params))
            yield from page["results"]
            after = page["next_after"]

    def graph(self, workflow_id: int) -> JsonObject:
        """Return a workflow as a drawing of at most 500 boxes. Raises NotFound."""
        return self._transport.json(Call("GET", f"/workflows/{workflow_id}/graph/"))

    def cancel(self, workflow_id: int, *, reason: str | None = None) -> JsonObject:
        """Cancel what has not ended, but what runs finally; a second call stops that, too. Raises Conflict if it has ended."""
        return self._act(workflow_id, "cancel", {"reason": reason} if reason else {})

    def restart(self, workflow_id: int, *, reason: str | None = None) -> JsonObject:
        """Begin anew what failed or was cancelled; what is COMPLETED stays. Raises Conflict where there is nothing to restart."""
        return self._act(workflow_id, "restart", {"reason": reason} if reason else {})

    def rerun(self, workflow_id: int, steps: Sequence[str], *, key: str | None = None, **given: object) -> JsonObject:
        """Make a new run from these jobs on, which borrows what comes before them, and return it; nothing of the old run changes.

        Further words are fields of the body: `inputs`, `parameters` and `assets` that differ, `revision`, `name`, `labels`. It is
        made once, like a run. Raises InvalidRequest, Conflict where something that would be borrowed has not ended well or is deleted.
        """
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        body = {"from": list(steps), **_said(given)}
        call = Call("POST", f"/workflows/{workflow_id}/rerun/", body=body, headers=headers, repeatable=True)
        return self._transport.json(call)

    def events(self, workflow_id: int, *, limit: int | None = None) -> Iterator[JsonObject]:
        """Yield what happened to a workflow as a whole, the oldest first. Raises NotFound."""
        return self._every(f"/workflows/{workflow_id}/events/", (), limit)

    def save(self, name: str, definition: str | Mapping[str, object], *, project: str | None = None) -> JsonObject:
        """Save a definition under a name, or a new revision of it where there is one, and return it. Raises InvalidRequest."""
        body = _body(definition, {})
        own = {"project": project} if project is not None else {}
        found = [one for one in self.types(name=name, archived=False) if project in {None, one["project"]}]
        if found:
            call = Call("POST", f"/workflow-types/{found[0]['id']}/revisions/", body=body, repeatable=True)
            return self._transport.json(call)
        return self._transport.json(Call("POST", "/workflow-types/", body={"name": name, **own, **body}))

    def types(self, *, limit: int | None = None, **filters: Filter) -> Iterator[JsonObject]:
        """Yield saved definitions by name, without their texts; `archived=True` for all."""
        return self._every("/workflow-types/", paging.params(filters), limit)

    def type(self, type_id: int, revision: int | None = None) -> JsonObject:
        """Return a saved definition with the text of a revision, by default the newest. Raises NotFound."""
        which = "" if revision is None else f"revisions/{revision}/"
        return self._transport.json(Call("GET", f"/workflow-types/{type_id}/{which}"))

    def revisions(self, type_id: int, *, limit: int | None = None) -> Iterator[JsonObject]:
        """Yield the revisions of a saved definition, the newest first. Raises NotFound."""
        return self._every(f"/workflow-types/{type_id}/revisions/", (), limit)

    def archive(self, type_id: int) -> None:
        """Let nobody run a saved definition any more; its runs and revisions stay. Raises NotFound."""
        self._transport.send(Call("DELETE", f"/workflow-types/{type_id}/"))

    def hold(self, workflow_id: int, *, held: bool = True, reason: str | None = None) -> JsonObject:
        """Hold all jobs that have not started, or release them."""
        return self._act(workflow_id, "hold", {"held": held, **({"reason": reason} if reason else {})})

    def delete(self, workflow_id: int) -> None:
        """Delete a workflow that has ended, with its jobs. Raises Conflict for one that has not."""
        self._transport.send(Call("DELETE", f"/workflows/{workflow_id}/"))

    def wait(
        self, workflow_id: int, *, timeout_s: float | None = None, changed: Callable[[JsonObject], None] | None = None
    ) -> JsonObject:
        """Return a workflow once it has ended; `changed` is called with each answer on the way. Raises TimedOut."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        pause = SHORTEST_POLL_S
        while True:
            found = self.get(workflow_id, patience_s=WAIT_PATIENCE_S)
            if changed is not None:
                changed(found)
            if found["state"] in FINAL_STATES:
                return found
            if until is not None and time.monotonic() + pause > until:
                raise TimedOut(f"workflow {workflow_id} is still {found['state']}")
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_POLL_S)

    def _act(self, workflow_id: int, verb: str, body: Mapping[str, Any]) -> JsonObject:
        return self._transport.json(Call("POST", f"/workflows/{workflow_id}/{verb}/", body=dict(body)))


def _body(definition: str | Mapping[str, object] | None, given: Mapping[str, object]) -> JsonObject:
    text = definition if definition is None or isinstance(definition, str) else dict(definition)
    return {**({} if text is None else {"definition": text}), **_said(given)}


def _said(given: Mapping[str, object]) -> JsonObject:
    return {name: value for name, value in given.items() if value is not None and value != {}}
