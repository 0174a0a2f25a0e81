"""`ganger why`: why a job waits, where it ran, why it failed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api.commands import connection, screen
from api.commands.options import JobId, Json, StateDir, Token, Url


def why(
    job_id: JobId,
    *,
    as_json: Json = False,
    url: Url = None,
    token: Token = None,
    state_dir: StateDir = None,
) -> None:
    """Say why a job waits, where it ran, or why it failed.

    [bold]ganger why 12[/]
    """
    with connection.client(url, token, state_dir) as api:
        told = api.jobs.explain(job_id)
    if as_json:
        screen.document(told)
        return
    screen.say(str(told.get("summary") or told.get("status")))
    for line in _details(told):
        screen.say(f"  {line}")


def _details(told: dict[str, Any]) -> Iterator[str]:
    """Yield what stands behind the summary, a line each; the first reason is the summary already."""
    for reason in (told.get("reasons") or [])[1:]:
        yield f"also: {reason['description']}"
    if told.get("ahead"):
        yield f"before it in the queue: {told['ahead']}"
    tries = told.get("tries") or {}
    if tries.get("done"):
        forgiven = f", {tries['forgiven']} of them not its fault" if tries.get("forgiven") else ""
        yield f"tries: {tries['done']} of {tries.get('max')}{forgiven}"
    last = told.get("placement")
    if last:
        yield from _placement(last)
    failure = told.get("failure")
    if failure:
        again = "" if failure.get("should_be_retried") else "; not worth another try"
        yield f"error: {failure['error']} ({failure.get('category')}{again}): {failure.get('description') or failure.get('title')}"


def _placement(last: dict[str, Any]) -> Iterator[str]:
    code = last.get("exit_code")
    ended = f", exit code {code}" if code is not None else ""
    yield f"last try: {last['job_exe']['status']} on {last['node']['name']} (attempt {last.get('attempt')}){ended}"
    if last.get("why"):
        yield f"placed there: {last['why']}"
    if last.get("message"):
        yield f"it says: {last['message']}"
