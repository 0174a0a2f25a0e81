"""Which jobs a command is about: ids, or the filters of the list; asked about, told, and carried out for all of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from ganger.cli import screen
from ganger.cli.failures import FAILED
from ganger.errors import UsageError

if TYPE_CHECKING:
    from ganger import Client, Operation

WHICH = "Which jobs (repeat an option for alternatives)"


def _which(text: str, *names: str) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=WHICH)


Ids: TypeAlias = Annotated[list[int] | None, typer.Argument(metavar="JOB...", min=1, help="Ids of jobs.")]
Statuses: TypeAlias = Annotated[list[str] | None, _which("Such as QUEUED.", "--status")]
Types: TypeAlias = Annotated[list[str] | None, _which("Names of job types.", "--type")]
Categories: TypeAlias = Annotated[list[str] | None, _which("Categories of job types.", "--category")]
Errors: TypeAlias = Annotated[
    list[str] | None, _which("Failed with SYSTEM, DATA or ALGORITHM errors.", "--error-category")
]
Nodes: TypeAlias = Annotated[list[str] | None, _which("On these nodes.", "--node")]
Pools: TypeAlias = Annotated[list[str] | None, _which("For these pools, or on their nodes.", "--pool")]
Labels: TypeAlias = Annotated[list[str] | None, _which("With this label, KEY=VALUE.", "--label")]
Projects: TypeAlias = Annotated[list[str] | None, _which("Of these projects.", "--project")]
Since: TypeAlias = Annotated[str | None, _which("Changed since: PT3H, P1D, or 2026-11-22T10:00:00Z.", "--since")]
Until: TypeAlias = Annotated[str | None, _which("Not changed since, likewise.", "--until")]
Everything: TypeAlias = Annotated[bool, _which("Every job that the token may see.", "--all")]
DryRun: TypeAlias = Annotated[bool, typer.Option("--dry-run", help="Change nothing; say how many jobs that is.")]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before many jobs are changed.")]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Jobs by id, by filters as the API names them, or all."""

    job_ids: Sequence[int]
    filters: dict[str, Any]
    everything: bool

    def selection(self) -> dict[str, Any]:
        """Return what the client takes."""
        return {"job_id": [*self.job_ids]} if self.job_ids else {**self.filters, "everything": self.everything}


def chosen(job_ids: Sequence[int] | None, *, everything: bool, **given: Any) -> Chosen:
    """Return which jobs are meant. Raises UsageError for ids and filters together, and for neither."""
    filters = {name: value for name, value in given.items() if value}
    if "status" in filters:
        filters["status"] = [word.upper() for word in filters["status"]]
    if "label" in filters:
        filters["label"] = [word.replace("=", ":", 1) for word in filters["label"]]
    if job_ids and (filters or everything):
        raise UsageError("give ids of jobs or options that choose them, not both")
    if not (job_ids or filters or everything):
        raise UsageError("which jobs? give ids, options such as --status QUEUED, or --all")
    return Chosen(job_ids or (), filters, everything)


def carry_out(
    api: Client,
    kind: str,
    which: Chosen,
    *,
    done: str,
    advice: str = "",
    dry_run: bool = False,
    sure: bool = False,
    as_json: bool = False,
    **arguments: Any,
) -> None:
    """Begin an action, wait for its end and tell. Ends the command with 1 if it failed, or skipped any job given by id."""
    for job_id in which.job_ids:
        api.jobs.get(job_id)  # one that does not exist is told now, not skipped in silence
    if dry_run:
        tell_count(api, kind, which, as_json=as_json)
        return
    if not which.job_ids and not sure:
        _ask(api, kind, which)
    operation = api.jobs.act(kind, **which.selection(), **arguments)
    operation = api.jobs.wait_operation(operation, changed=None if as_json else _progress)
    _clear()
    _tell(operation, which, done=done, advice=advice, as_json=as_json)


def tell_count(api: Client, kind: str, which: Chosen, *, as_json: bool) -> None:
    """Say how many jobs an action would look at."""
    count = api.jobs.count_for(kind, **which.selection())
    if as_json:
        screen.document({"dry_run": True, "count": count})
    else:
        screen.say(f"{count} jobs match")


def _ask(api: Client, kind: str, which: Chosen) -> None:
    """Ask the person at the terminal; a script has decided."""
    if sys.stdin.isatty() and sys.stderr.isatty():
        count = api.jobs.count_for(kind, **which.selection())
        typer.confirm(f"{kind} {count} jobs?", abort=True, err=True)


def _tell(operation: Operation, which: Chosen, *, done: str, advice: str, as_json: bool) -> None:
    count, skipped = operation.done or 0, operation.skipped or 0
    asked = len(set(which.job_ids)) if which.job_ids else count + skipped
    if as_json:
        screen.document(operation.document)
    else:
        screen.say(f"{count} of {asked} {done}")
    if operation.status == "FAILED":
        screen.note(f"ganger: it stopped: {operation.message}")
        raise typer.Exit(FAILED)
    if which.job_ids and count < asked:
        if advice and not as_json:
            screen.note(advice)
        raise typer.Exit(FAILED)


def _progress(operation: Operation) -> None:
    if sys.stderr.isatty():
        walked = (operation.done or 0) + (operation.skipped or 0)
        sys.stderr.write(f"\r\x1b[K{operation.kind}: {walked} of {operation.matched} jobs")
        sys.stderr.flush()


def _clear() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
