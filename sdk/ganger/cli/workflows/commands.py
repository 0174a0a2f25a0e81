"""`ganger workflow`: check, run, list, show, draw, cancel, restart workflows."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import orjson
import typer

from ganger.cli import screen
from ganger.cli.connection import SUBMIT_PATIENCE_S, Connection
from ganger.cli.failures import FAILED
from ganger.cli.options import Json, ListByDefault, expanded, pairs
from ganger.documents import JsonObject
from ganger.errors import UsageError

if TYPE_CHECKING:
    from ganger import Client

workflow = typer.Typer(help="Run jobs that wait for each other as one workflow.", cls=ListByDefault)

HEADINGS = ("ID", "NAME", "STATE", "JOBS", "ENDED", "FAILED", "BLOCKED", "CREATED", "TOOK")
JOB_HEADINGS = ("JOB", "ID", "TYPE", "STATUS", "STARTED", "TOOK", "WHY")

WorkflowId: TypeAlias = Annotated[int, typer.Argument(min=1, metavar="WORKFLOW", help="Its id.")]
DefinitionFile: TypeAlias = Annotated[str, typer.Argument(metavar="FILE", help="The definition; - is standard input.")]
Inputs: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--input", "-i", help="NAME=VALUE of an input of the workflow, JSON where it is that; NAME=@PATH sends a file."
    ),
]
Parameters: TypeAlias = Annotated[
    list[str] | None, typer.Option("--param", "-p", help="JOB.INPUT=VALUE of a single job.")
]
Assets: TypeAlias = Annotated[
    list[str] | None, typer.Option("--asset", "-a", help="JOB.INPUT=@PATH to send a file, or =ID of one that is there.")
]
Wait: TypeAlias = Annotated[bool, typer.Option("--wait", "-w", help="Wait for the end; exit 1 unless it completed.")]
Why: TypeAlias = Annotated[str | None, typer.Option("--reason", help="Why, for the others.")]


@workflow.command("run")
@expanded
def run(
    file: Annotated[str | None, typer.Argument(metavar="[FILE]", help="The definition; - is standard input.")] = None,
    *,
    kind: Annotated[
        str | None, typer.Option("--type", help="A saved definition instead: NAME, or NAME:2 for a revision of it.")
    ] = None,
    given: Inputs = None,
    parameter: Parameters = None,
    asset: Assets = None,
    name: Annotated[str | None, typer.Option(help="A name for people; default: the definition's.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="KEY=VALUE to find it by.")] = None,
    project: Annotated[str | None, typer.Option(help="The project it belongs to.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency key: the same key runs it only once.")] = None,
    parent: Annotated[
        int | None,
        typer.Option(min=1, metavar="JOB", help="In a job, with $GANGER_JOB_ID: the run is cancelled with it."),
    ] = None,
    wait: Wait = False,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Run a workflow: all its jobs are made, or none, and everything that is wrong with it is told at once.

    [bold]ganger workflow run airports.yaml --asset split.places=@airports.csv --wait[/]

    [bold]ganger workflow run --type airports:2[/]
    """
    if (file is None) == (kind is None):
        raise UsageError("give the FILE of a definition, or with --type the name of a saved one")
    with connection.client(patience_s=SUBMIT_PATIENCE_S) as api:
        made = api.workflows.run(
            None if file is None else definition_text(file),
            type=kind,
            key=key,
            inputs=given_inputs(api, given, project),
            parameters=given_values(parameter, "--param"),
            assets=given_files(api, asset, project),
            name=name,
            labels=pairs(label or [], "--label"),
            project=project,
            parent_job_id=parent,
        )
        if not wait:
            screen.document(made) if as_json else screen.text(str(made["id"]))
            return
        ended = api.workflows.wait(int(made["id"]))
        if as_json:
            screen.document(ended)
        else:
            tell_end(api, ended)
    raise typer.Exit(0 if ended["state"] == "COMPLETED" else FAILED)


@workflow.command("check")
@expanded
def check(
    file: DefinitionFile,
    *,
    given: Inputs = None,
    parameter: Parameters = None,
    asset: Assets = None,
    project: Annotated[str | None, typer.Option(help="The project whose job types are meant.")] = None,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Check a definition as a run would, make nothing, and draw it.

    [bold]ganger workflow check airports.yaml[/]
    """
    with connection.client() as api:
        found = api.workflows.check(
            definition_text(file),
            inputs=given_inputs(api, given, project),
            parameters=given_values(parameter, "--param"),
            assets=given_files(api, asset, project),
            project=project,
        )
    if as_json:
        screen.document(found)
        return
    screen.text(f"{screen.many(found['jobs'], 'job')}, in this order: {', '.join(found['order'][:20])}")
    for line in drawing(found["graph"]):
        screen.text(line)


@workflow.command("list")
@expanded
def list_workflows(
    *,
    state: Annotated[list[str] | None, typer.Option(help="PENDING, RUNNING, FAILED, CANCELED or COMPLETED.")] = None,
    name: Annotated[list[str] | None, typer.Option(help="Of this name.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="KEY=VALUE.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 50,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """List workflows, the newest first.

    [bold]ganger workflow list --state FAILED[/]
    """
    labels = [f"{key}:{value}" for key, value in pairs(label or [], "--label").items()]
    with connection.client() as api:
        found = api.workflows.list(limit=limit, state=state or [], name=name or [], label=labels)
        if as_json:
            for one in found:
                screen.line(one)
            return
        screen.table(HEADINGS, (_row(one) for one in found), empty="no workflows")


@workflow.command("show")
@expanded
def show(
    workflow_id: WorkflowId,
    *,
    job: Annotated[list[str] | None, typer.Option(help="Only jobs of this name.")] = None,
    status: Annotated[list[str] | None, typer.Option(help="Only jobs that stand so, as FAILED.")] = None,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Show a workflow: its state, its jobs, and what failed first.

    [bold]ganger workflow show 3 --status FAILED[/]
    """
    chosen = {"job": job or [], "status": [word.upper() for word in status or []]}
    with connection.client() as api:
        found = api.workflows.get(workflow_id)
        if as_json:
            screen.document({**found, "jobs": list(api.workflows.jobs(workflow_id, **chosen))})
            return
        screen.fields(_summary(found))
        screen.heading("Jobs")
        screen.table(
            JOB_HEADINGS, (_job_row(one) for one in api.workflows.jobs(workflow_id, **chosen)), empty="none of its jobs"
        )
    culprit = found["culprit"]
    if culprit is not None:
        screen.note(f"why: ganger why {culprit['job_id']}; again: ganger workflow restart {workflow_id}")


@workflow.command("graph")
@expanded
def graph(workflow_id: WorkflowId, *, as_json: Json = False, connection: Connection) -> None:
    """Draw a workflow: a line for each job, beneath what it needs.

    [bold]ganger workflow graph 3[/]
    """
    with connection.client() as api:
        found = api.workflows.graph(workflow_id)
    if as_json:
        screen.document(found)
        return
    for line in drawing(found):
        screen.text(line)


@workflow.command("cancel")
@expanded
def cancel(workflow_id: WorkflowId, *, reason: Why = None, as_json: Json = False, connection: Connection) -> None:
    """Cancel what has not ended, but what runs finally; a second cancel stops that, too.

    [bold]ganger workflow cancel 3[/]
    """
    with connection.client() as api:
        found = api.workflows.cancel(workflow_id, reason=reason)
    _tell(found, as_json=as_json)


@workflow.command("restart")
@expanded
def restart(
    workflow_id: WorkflowId,
    *,
    reason: Why = None,
    wait: Wait = False,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Begin anew what failed or was cancelled; what is COMPLETED stays, what was blocked goes on by itself.

    [bold]ganger workflow restart 3 --wait[/]
    """
    with connection.client() as api:
        found = api.workflows.restart(workflow_id, reason=reason)
        if wait:
            found = api.workflows.wait(workflow_id)
    _tell(found, as_json=as_json)
    if wait:
        raise typer.Exit(0 if found["state"] == "COMPLETED" else FAILED)


@workflow.command("delete")
@expanded
def delete(workflow_id: WorkflowId, *, connection: Connection) -> None:
    """Delete a workflow that has ended, with its jobs; files that they made stay.

    [bold]ganger workflow delete 3[/]
    """
    with connection.client() as api:
        api.workflows.delete(workflow_id)


def drawing(graph: JsonObject) -> Iterator[str]:
    """Yield a drawing in text: boxes by level, each with where its jobs stand and what it needs."""
    needed: dict[str, list[str]] = {}
    for arrow in graph["arrows"]:
        needed.setdefault(arrow["target"], []).append(arrow["source"])
    for box in sorted(graph["boxes"], key=lambda one: (one["level"], one["y"])):
        stands = ", ".join(f"{count} {status}" for status, count in sorted(box["counts"].items()))
        parents = ", ".join(needed.get(box["name"], [])[:8])
        yield "  " * box["level"] + box["name"] + (f"  [{stands}]" if stands else "") + (f"  after {parents}" if parents else "")  # fmt: skip


def definition_text(file: str) -> str:
    """Return the text of a definition; raises UsageError for a file that cannot be read."""
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not a text in UTF-8") from None
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None


def given_values(given: list[str] | None, option: str) -> JsonObject:
    """Return values: numbers, true, false, null, lists and objects as JSON, and everything else as the text it is."""
    return {name: _value(text) for name, text in pairs(given or [], option).items()}


def given_inputs(api: Client, given: list[str] | None, project: str | None) -> JsonObject:
    """Return inputs of a workflow; those of files are sent."""
    sent = {
        name: _sent(api, name, text, project) for name, text in pairs(given or [], "--input").items() if text[:1] == "@"
    }
    return {**given_values(given, "--input"), **sent}


def _sent(api: Client, name: str, text: str, project: str | None) -> int:
    path = Path(text[1:])
    if not path.is_file():
        raise UsageError(f"{name}: there is no file {path}")
    return api.files.upload(path, project=project).id


def _value(text: str) -> object:
    try:
        found = orjson.loads(text)
    except ValueError:
        return text
    return found


def given_files(api: Client, given: list[str] | None, project: str | None) -> JsonObject:
    """Return files for single jobs by JOB.INPUT; those that are not there yet are sent. Raises UsageError."""
    found: JsonObject = {}
    for name, text in pairs(given or [], "--asset").items():
        if text.startswith("@"):
            found[name] = _sent(api, name, text, project)
        elif text.isascii() and text.isdigit():
            found[name] = int(text)
        else:
            raise UsageError(f"--asset takes JOB.INPUT=@PATH or JOB.INPUT=ID, not {name}={text}")
    return found


def _tell(found: JsonObject, *, as_json: bool) -> None:
    if as_json:
        screen.document(found)
    else:
        screen.text(f"workflow {found['id']} is {found['state']}")


def tell_end(api: Client, found: JsonObject) -> None:
    """Say how a workflow ended, what failed first, and what helps."""
    counts = found["counts"]
    screen.text(
        f"workflow {found['id']} is {found['state']}: {counts['completed']} of {counts['total']} jobs COMPLETED"
    )
    culprit = found["culprit"]
    if culprit is not None:
        why = culprit["message"] or culprit["error"] or ""
        screen.note(f"ganger: {culprit['job']} (job {culprit['job_id']}) failed: {why}")
        screen.note(f"ganger: ganger logs {culprit['job_id']}, then ganger workflow restart {found['id']}")
    blocked = (
        [job["job"] for job in api.workflows.jobs(int(found["id"])) if job["status"] == "BLOCKED"] if culprit else []
    )
    if blocked:
        screen.note(f"ganger: blocked by it: {', '.join(blocked[:10])}")


def _row(one: JsonObject) -> Sequence[object]:
    counts = one["counts"]
    ended = counts["total"] - counts["live"]
    state = one["state"] + (" (will fail)" if one["will_fail"] else "")
    return (
        one["id"], one["name"] or "", state, counts["total"], ended, counts["failed"], counts["blocked"],
        screen.moment(_moment(one["created"])), _took(one),
    )  # fmt: skip


def _job_row(job: JsonObject) -> Sequence[object]:
    name = job["job"] if job["member"] is None else f"{job['job']}[{job['member']}]"
    status = "SKIPPED" if job["is_skipped"] else job["status"]
    if job["superseded_by"] is not None:
        status += f" (again as {job['superseded_by']})"
    why = job["message"] or job["error"] or ""
    return (name, job["job_id"], job["type"], status, screen.moment(_moment(job["started"])), _took(job), why)


def _summary(found: JsonObject) -> dict[str, object]:
    counts = found["counts"]
    stands = [
        f"{counts[name]} {name}" for name in ("completed", "failed", "blocked", "canceled", "skipped") if counts[name]
    ]
    culprit = found["culprit"]
    return {
        "workflow": found["id"],
        "name": found["name"],
        "state": found["state"] + (" (will fail)" if found["will_fail"] else ""),
        "jobs": f"{counts['total']}"
        + (f": {', '.join(stands)}" if stands else "")
        + f"; {found['percent']:.0f} % ended",
        "held": "yes" if found["is_held"] else None,
        "failed first": f"{culprit['job']} (job {culprit['job_id']}): {culprit['message'] or culprit['error']}"
        if culprit
        else None,
        "cancelled": f"by {found['canceled_by']}" if found["canceled"] else None,
        "type": None if found["type"] is None else f"{found['type']}:{found['revision']}",
        "rerun of": found["rerun_of"],
        "run by": f"job {found['parent_job_id']}" if found.get("parent_job_id") else None,
        "borrowed": ", ".join(found["borrowed"][:20]) or None,
        "project": found["project"],
        "created": f"{screen.moment(_moment(found['created']))} by {found['created_by'] or 'somebody'}",
        "started": screen.moment(_moment(found["started"])) or None,
        "ended": screen.moment(_moment(found["ended"])) or None,
    }


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _took(one: JsonObject) -> str:
    return screen.duration(screen.between(_moment(one["started"]), _moment(one["ended"])))
