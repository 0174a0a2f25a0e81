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

    def run(self, definition: str | Mapping[str, object], *, key: str | None = None, **given: object) -> JsonObject:
        """Run a workflow and return it. `definition` is a text (YAML or JSON) or a document.

        Further words are fields of the body: `inputs`, `parameters` and `assets` (by `job.input`), `name`, `project`, `labels`.
        Safe against broken connections: it is run once. Raises InvalidRequest with everything that is wrong with it.
        """
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        body = _body(definition, given)
        return self._transport.json(Call("POST", "/workflows/", body=body, headers=headers, repeatable=True))

    def check(self, definition: str | Mapping[str, object], **given: object) -> JsonObject:
        """Check a workflow as a run would, and return its jobs in order with a drawing. Raises InvalidRequest likewise."""
        body = _body(definition, given)
        return self._transport.json(Call("POST", "/workflows/validate/", body=body, repeatable=True))

    def get(self, workflow_id: int, *, patience_s: float | None = None) -> JsonObject:
        """Return a workflow with its state and where its jobs stand. Raises NotFound."""
        return self._transport.json(Call("GET", f"/workflows/{workflow_id}/", patience_s=patience_s))

    def list(self, *, limit: int | None = None, **filters: Filter) -> Iterator[JsonObject]:
        """Yield workflows page by page; filters as in the API (`state=["RUNNING"]`, `label="run:7"`)."""
        path: str | None = "/workflows/"
        params: Sequence[tuple[str, str]] = paging.params(filters)
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


def _body(definition: str | Mapping[str, object], given: Mapping[str, object]) -> JsonObject:
    said = {name: value for name, value in given.items() if value is not None and value != {}}
    return {"definition": definition if isinstance(definition, str) else dict(definition), **said}
