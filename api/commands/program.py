"""Which commands there are. Each is a function in a file of its noun; here they get their names and their order."""

from __future__ import annotations

from typing import Annotated

import typer

from api.commands import (
    administration,
    check,
    demonstration,
    fates,
    files,
    job_types,
    jobs,
    logs,
    nodes,
    pools,
    roles,
    setup,
    simulate,
    status,
    submit,
    tokens,
    why,
)

JOBS, CLUSTER, PROCESSES = "Jobs", "What jobs are made of and run on", "Running Ganger"

app = typer.Typer(
    name="ganger",
    help="A distributed worker scheduler: hands out work, sees that it gets done, knows who is free.",
    epilog="Exit status: 0 done, 1 the job failed or the answer is no, 2 used wrongly, 3 no API, 4 not found or refused, "
    "130 interrupted. Start with: ganger up, then ganger submit --follow -- echo hello",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        status.version()
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command(cls=submit.SubmitCommand, rich_help_panel=JOBS)(submit.submit)
app.command(rich_help_panel=JOBS)(jobs.jobs)
app.command(rich_help_panel=JOBS)(jobs.show)
app.command(rich_help_panel=JOBS)(logs.logs)
app.command(rich_help_panel=JOBS)(why.why)
for fate in (fates.cancel, fates.requeue, fates.hold, fates.release):
    app.command(rich_help_panel=JOBS)(fate)
app.add_typer(job_types.types, name="types", rich_help_panel=CLUSTER)
app.add_typer(files.files, name="files", rich_help_panel=CLUSTER)
app.add_typer(nodes.nodes, name="nodes", rich_help_panel=CLUSTER)
for pool_command in (pools.pools, pools.scale, pools.drain, pools.pause, pools.resume):
    app.command(rich_help_panel=CLUSTER)(pool_command)
app.add_typer(tokens.tokens, name="tokens", rich_help_panel=CLUSTER)
app.add_typer(administration.projects, name="projects", rich_help_panel=CLUSTER)
app.add_typer(administration.errors, name="errors", rich_help_panel=CLUSTER)
app.command(rich_help_panel=CLUSTER)(status.status)
app.command(rich_help_panel=CLUSTER)(simulate.simulate)
app.command(rich_help_panel=PROCESSES)(roles.up)
app.command(rich_help_panel=PROCESSES)(demonstration.demo)
app.command(rich_help_panel=PROCESSES)(setup.setup)
app.command(rich_help_panel=PROCESSES)(check.check)
app.command(rich_help_panel=PROCESSES)(roles.api)
app.command(rich_help_panel=PROCESSES)(roles.scheduler)
app.command(rich_help_panel=PROCESSES)(roles.worker)
app.command(rich_help_panel=PROCESSES)(status.version)
