"""`ganger workflow rerun, events`: a new run from some jobs on, and what happened to a run as a whole."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from ganger.cli import screen
from ganger.cli.connection import SUBMIT_PATIENCE_S, Connection
from ganger.cli.failures import FAILED
from ganger.cli.options import Json, expanded, pairs
from ganger.cli.workflows.commands import (
    Assets,
    Inputs,
    Parameters,
    Wait,
    WorkflowId,
    given_files,
    given_inputs,
    given_values,
    tell_end,
    workflow,
)

EVENTS = ("TIME", "EVENT", "STATE", "BY", "REASON")


@workflow.command("rerun")
@expanded
def rerun(
    workflow_id: WorkflowId,
    steps: Annotated[list[str], typer.Argument(metavar="JOB...", help="The jobs of it from which on it is made anew.")],
    *,
    given: Inputs = None,
    parameter: Parameters = None,
    asset: Assets = None,
    revision: Annotated[int | None, typer.Option(min=1, help="Of its saved definition; default: its own.")] = None,
    name: Annotated[str | None, typer.Option(help="A name for people; default: the old run's.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="KEY=VALUE; default: the old run's.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency key: the same key makes it only once.")] = None,
    wait: Wait = False,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Make a new run from some jobs on. What comes before them is borrowed of the old run, of which nothing changes.

    [bold]ganger workflow rerun 3 merge --param merge.limit=10 --wait[/]
    """
    with connection.client(patience_s=SUBMIT_PATIENCE_S) as api:
        project = str(api.workflows.get(workflow_id)["project"]) if given or asset else None
        made = api.workflows.rerun(
            workflow_id,
            steps,
            key=key,
            inputs=given_inputs(api, given, project),
            parameters=given_values(parameter, "--param"),
            assets=given_files(api, asset, project),
            revision=revision,
            name=name,
            labels=pairs(label or [], "--label"),
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


@workflow.command("events")
@expanded
def events(workflow_id: WorkflowId, *, as_json: Json = False, connection: Connection) -> None:
    """Show what happened to a workflow as a whole: run, held, cancelled, begun anew, ended; of its jobs, ganger show tells.

    [bold]ganger workflow events 3[/]
    """
    with connection.client() as api:
        found = api.workflows.events(workflow_id)
        if as_json:
            for one in found:
                screen.line(one)
            return
        rows = (
            (
                screen.moment(datetime.fromisoformat(one["at"])),
                one["event"],
                one["state"] or "",
                one["actor"] or "",
                one["reason"] or "",
            )
            for one in found
        )
        screen.table(EVENTS, rows, empty="")
