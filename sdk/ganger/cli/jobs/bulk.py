"""One action for many jobs: the question before it, the action, and the number of jobs that it changed."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from ganger.cli import screen
from ganger.cli.failures import FAILED
from ganger.cli.options import Json

if TYPE_CHECKING:
    from ganger import Client, Operation
    from ganger.cli.jobs.selection import Selection

Ids: TypeAlias = Annotated[
    list[str] | None, typer.Argument(metavar="JOB...", help="Ids of jobs; - reads them from standard input.")
]
Reason: TypeAlias = Annotated[str | None, typer.Option(help="Why, for the others.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkOptions:
    """The options of every command that changes many jobs."""

    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; say how many jobs that is.")] = False
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before many jobs are changed.")] = False
    as_json: Json = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAction:
    """An action on jobs: its name in the API (`kind`), and the word for the jobs that it changed (`done`).

    `advice` is printed if it did not change all jobs that were given by id.
    """

    kind: str
    done: str
    advice: str = ""
    reason: str | None = None
    priority: int | None = None


def carry_out(api: Client, action: JobAction, selection: Selection, options: BulkOptions) -> None:
    """Begin an action, wait for its end and print how many jobs it changed. Ends the command with 1 if it failed, or skipped any job given by id."""
    for job_id in selection.job_ids:
        api.jobs.get(job_id)  # a job that does not exist is an error now, not skipped in silence
    if options.dry_run:
        _print_count(_count(api, action, selection), as_json=options.as_json)
        return
    if not selection.job_ids and not options.yes:
        _confirm(api, action, selection)
    operation = api.jobs.act(
        action.kind,
        everything=selection.everything,
        reason=action.reason,
        priority=action.priority,
        **selection.given,
    )
    operation = api.jobs.wait_operation(operation, changed=None if options.as_json else _progress)
    _clear()
    _print_result(operation, action, selection, as_json=options.as_json)


def _count(api: Client, action: JobAction, selection: Selection) -> int:
    return api.jobs.count_for(action.kind, everything=selection.everything, **selection.given)


def _print_count(count: int, *, as_json: bool) -> None:
    if as_json:
        screen.document({"dry_run": True, "count": count})
    else:
        screen.text(f"{screen.many(count, 'job')} match" + ("es" if count == 1 else ""))


def _confirm(api: Client, action: JobAction, selection: Selection) -> None:
    """Ask the person at the terminal. Where none is, a script has decided."""
    if sys.stdin.isatty() and sys.stderr.isatty():
        typer.confirm(f"{action.kind} {screen.many(_count(api, action, selection), 'job')}?", abort=True, err=True)


def _print_result(operation: Operation, action: JobAction, selection: Selection, *, as_json: bool) -> None:
    count, skipped = operation.done or 0, operation.skipped or 0
    asked = len(set(selection.job_ids)) if selection.job_ids else count + skipped
    if as_json:
        screen.document(operation.document)
    else:
        screen.text(f"{count} of {asked} {action.done}")
    if operation.status == "FAILED":
        screen.note(f"ganger: it stopped: {operation.message}")
        raise typer.Exit(FAILED)
    if selection.job_ids and count < asked:
        if action.advice and not as_json:
            screen.note(action.advice)
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
