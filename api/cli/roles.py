"""`ganger up` and the single roles: `api`, `scheduler`, `worker`. They run in the foreground until they are told to end."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from api.cli.expected import reported
from ganger.cli.options import amounts, pairs
from ganger.cli.quantities import cpus as cpus_of
from ganger.cli.quantities import whole_mebibytes

SIZE = "What a node may hand out"
JOBS = "How jobs run"

Cpus = Annotated[
    float | None,
    typer.Option(parser=cpus_of, metavar="CPUS", help="Cpus. Default: those of this machine.", rich_help_panel=SIZE),
]
Mem = Annotated[
    int | None,
    typer.Option(
        parser=whole_mebibytes,
        metavar="SIZE",
        help="Memory: MiB, or an amount such as 16G. Default: this machine's, but for a reserve.",
        rich_help_panel=SIZE,
    ),
]
Disk = Annotated[
    int | None,
    typer.Option(
        parser=whole_mebibytes,
        metavar="SIZE",
        help="Disk: MiB, or an amount such as 100G. Default: what is free.",
        rich_help_panel=SIZE,
    ),
]
JobUser = Annotated[
    str | None, typer.Option(help="Who jobs run as when the node runs as root. Default: nobody.", rich_help_panel=JOBS)
]
TreeName = Annotated[
    str | None,
    typer.Option(
        help="How process trees are kept: cgroup2, cgroup1, pidns, scan. Default: the best there is.",
        rich_help_panel=JOBS,
    ),
]
Projects = Annotated[
    list[str] | None,
    typer.Option(
        help="Project that it serves, and no other, * for all; may be repeated. Default: all; 'default' alone where "
        "jobs of different projects cannot be kept apart.",
        rich_help_panel=JOBS,
    ),
]
SharedFolders = Annotated[
    list[str] | None,
    typer.Option(help="Folder that jobs may write to, beside their own; may be repeated.", rich_help_panel=JOBS),
]
Interpreters = Annotated[
    list[str] | None,
    typer.Option(
        help="Path of a Python that jobs may choose, beside the system's; may be repeated.", rich_help_panel=JOBS
    ),
]
PipVariables = Annotated[
    list[str] | None,
    typer.Option(
        help="Variable of this environment that pip gets for requirements; may be repeated.", rich_help_panel=JOBS
    ),
]
LeaveRunning = Annotated[
    bool,
    typer.Option("--leave-running", help="On SIGTERM leave jobs running for the next start, as for an upgrade."),
]


@reported
def up(
    *,
    state_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="GANGER_STATE_DIR",
            help="Where everything is kept. Default: under the user's data folder; as root /var/lib/ganger.",
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address the API listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the API; 0 takes a free one.")] = 8470,
    nodes: Annotated[int, typer.Option(min=1, max=64, help="So many nodes on this machine.")] = 1,
    cpus: Cpus = None,
    mem: Mem = None,
    disk: Disk = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Say on standard output, as one JSON line, when everything is ready.")
    ] = False,
) -> None:
    """Run everything on this machine: PostgreSQL, Valkey, API, scheduler and a node, until Ctrl-C.

    The next start on the same state folder goes on where this one ended. Servers of your own instead of the embedded
    ones: GANGER_DATABASE_URL and GANGER_BROKER_URL.

    [bold]ganger up --state-dir ./state --port 0 --cpus 2[/]
    """
    from api.up import main as everything  # noqa: PLC0415 - only here
    from api.up.roles import NodeSize  # noqa: PLC0415 - likewise

    size = NodeSize(cpus=None if cpus is None else Decimal(str(cpus)), mem=mem, disk=disk)
    options = everything.UpOptions(state_dir=state_dir, host=host, port=port, nodes=nodes, size=size, json=as_json)
    raise typer.Exit(everything.up(options))


@reported
def api(
    *,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. Default: GANGER_HOST, else 127.0.0.1.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port. Default: GANGER_PORT, else 8470.")] = None,
) -> None:
    """Answer HTTP. Needs GANGER_DATABASE_URL.

    [bold]GANGER_DATABASE_URL=postgresql://ganger@db/ganger ganger api --host 0.0.0.0[/]
    """
    from api import serve  # noqa: PLC0415 - only here

    raise typer.Exit(serve.run_api(host, port))


@reported
def scheduler() -> None:
    """Place jobs on nodes. Needs GANGER_DATABASE_URL and GANGER_BROKER_URL. Several may run; one of them leads.

    [bold]ganger scheduler[/]
    """
    from api import serve  # noqa: PLC0415 - only here

    raise typer.Exit(serve.run_scheduler())


@reported
def worker(
    *,
    name: Annotated[str | None, typer.Option(help="The node's name. Default: the host's.")] = None,
    pool: Annotated[str, typer.Option(help="The pool it belongs to.")] = "default",
    label: Annotated[list[str] | None, typer.Option(help="KEY=VALUE that jobs may ask for; may be repeated.")] = None,
    cpus: Cpus = None,
    mem: Mem = None,
    disk: Disk = None,
    resource: Annotated[
        list[str] | None, typer.Option(help="NAME=AMOUNT of another resource, such as gpu=2.", rich_help_panel=SIZE)
    ] = None,
    api_url: Annotated[str | None, typer.Option(envvar="GANGER_API_URL", help="Address of the API.")] = None,
    token_file: Annotated[
        Path | None, typer.Option(envvar="GANGER_NODE_TOKEN_FILE", help="File with the node's token.")
    ] = None,
    node_dir: Annotated[
        Path | None, typer.Option(help="Where it keeps what it must not forget. Default: in the state folder.")
    ] = None,
    job_user: JobUser = None,
    tree: TreeName = None,
    project: Projects = None,
    share: SharedFolders = None,
    interpreter: Interpreters = None,
    pip_variable: PipVariables = None,
    leave_running: LeaveRunning = False,
) -> None:
    """Run jobs: one node. Needs the API's address and a node token, and GANGER_BROKER_URL to hear of work at once.

    [bold]ganger worker --name n1 --pool fast --cpus 8 --mem 16G --resource gpu=1[/]
    """
    from api import serve  # noqa: PLC0415 - only here

    options = serve.WorkerOptions(
        name=name,
        pool=pool,
        cpus=cpus,
        mem=mem,
        disk=disk,
        resources=amounts(resource or []),
        labels=pairs(label or [], "--label"),
        api_url=api_url,
        token_file=token_file,
        node_dir=node_dir,
        job_user=job_user,
        tree=tree,
        projects=project or (),
        shared_folders=share or (),
        interpreters=interpreter or (),
        pip_variables=pip_variable or (),
        leave_running=leave_running,
    )
    raise typer.Exit(serve.run_worker(options))
