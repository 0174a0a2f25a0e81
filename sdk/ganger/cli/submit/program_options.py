"""The options of `ganger submit` about the program: by what it is run, within which limits, near and far from what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import typer

from ganger.cli.quantities import mebibytes, number, some_whole_seconds, whole_seconds
from ganger.cli.submit.constraints import preferences
from ganger.cli.submit.field_options import JobField, SubmissionOptions
from ganger.errors import UsageError
from ganger.requests import JobRequest

HOW, LIMITS, LIKES = "How it is run", "Its limits", "Where it would like to run"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerOptions(SubmissionOptions):
    """The runner of the job's own command, and the secrets that it gets."""

    image: Annotated[
        str | None,
        typer.Option(
            help="Run the command in a container: registry.example/tool:1.2, or dir:/folder.", rich_help_panel=HOW
        ),
    ] = None
    network: Annotated[str | None, typer.Option(help="Of the container: host or none.", rich_help_panel=HOW)] = None
    python: Annotated[
        bool,
        typer.Option(
            "--python",
            help="The command is Python: a script, or module:function with its inputs.",
            rich_help_panel=HOW,
        ),
    ] = False
    interpreter: Annotated[
        str | None,
        typer.Option(help="Python of this name or path, such as python3.12; means --python.", rich_help_panel=HOW),
    ] = None
    require: Annotated[
        list[str] | None,
        typer.Option(help="Python package it needs, such as numpy>=2; means --python.", rich_help_panel=HOW),
    ] = None
    secret: Annotated[
        list[str] | None,
        typer.Option(help="Name of a secret of the project, which it gets as a file.", rich_help_panel=HOW),
        JobField("secrets"),
    ] = None

    def apply(self, request: JobRequest) -> JobRequest:
        """Return the request with these fields. Raises UsageError for Python and a container at once."""
        is_python = self.python or self.interpreter is not None or bool(self.require)
        if is_python and (self.image or self.network):
            raise UsageError("a job is run by Python on the node or in a container, not both")
        if self.network is not None and self.image is None:
            raise UsageError("--network is for a container: say which with --image")
        request = SubmissionOptions.apply(self, request)
        if is_python:
            options = {"interpreter": self.interpreter, "requirements": self.require}
            given = {name: value for name, value in options.items() if value}
            return replace(request, runner="python", options=given or None)
        container = {"network": self.network} if self.network else None
        return replace(request, options=container)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitOptions(SubmissionOptions):
    """The limits of one try, beside its time limit."""

    pre_timeout: Annotated[
        int | None,
        typer.Option(
            parser=some_whole_seconds,
            metavar="TIME",
            help="To make its inputs ready: seconds, or 10m.",
            rich_help_panel=LIMITS,
        ),
    ] = None
    post_timeout: Annotated[
        int | None,
        typer.Option(
            parser=some_whole_seconds,
            metavar="TIME",
            help="To collect its outputs: seconds, or 10m.",
            rich_help_panel=LIMITS,
        ),
    ] = None
    grace: Annotated[
        int | None,
        typer.Option(
            parser=whole_seconds,
            metavar="TIME",
            help="Between SIGTERM and the kill: seconds, or 1m.",
            rich_help_panel=LIMITS,
        ),
    ] = None
    max_processes: Annotated[
        int | None, typer.Option(min=2, help="Most processes and threads.", rich_help_panel=LIMITS)
    ] = None
    max_open_files: Annotated[
        int | None, typer.Option(min=16, help="Most open files of a process.", rich_help_panel=LIMITS)
    ] = None
    on_oom: Annotated[
        str | None,
        typer.Option(
            help="After a lack of memory try again with more: 2 is twice as much, 2:64G at most 64 GiB.",
            rich_help_panel=LIMITS,
        ),
        JobField("on_oom", on_oom),
    ] = None
    retry_on: Annotated[
        list[str] | None,
        typer.Option(
            help="Try again after errors of this category (SYSTEM, DATA, ALGORITHM) or name, and no others; repeatable. "
            "By default only what the platform is to blame for is tried again.",
            rich_help_panel=LIMITS,
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LikingOptions(SubmissionOptions):
    """The nodes on which a job would rather run, and what it does to others' room."""

    prefer: Annotated[
        list[str] | None,
        typer.Option(
            help="Like --constraint, but only liked: zone=a, or disk=ssd*5 with a weight.", rich_help_panel=LIKES
        ),
        JobField("preferences", preferences),
    ] = None
    apart: Annotated[
        str | None,
        typer.Option(
            help="No two of its kind where this label has the same value; node: on one node.", rich_help_panel=LIKES
        ),
    ] = None
    spread: Annotated[
        str | None, typer.Option(help="Even its kind out over the values of this label.", rich_help_panel=LIKES)
    ] = None
    preemptible: Annotated[
        bool,
        typer.Option(
            "--preemptible",
            help="More urgent jobs may take its room; has an effect only where preemption is on, which `ganger status` says.",
            rich_help_panel=LIKES,
        ),
    ] = False


def on_oom(text: str) -> dict[str, float]:
    """Return what a lack of memory changes. Raises UsageError."""
    factor, colon, most = text.partition(":")
    try:
        return {"mem_factor": number(factor), **({"mem_max": mebibytes(most)} if colon else {})}
    except ValueError as error:
        raise UsageError(f"--on-oom takes FACTOR or FACTOR:SIZE such as 2:64G, not {text!r}") from error
