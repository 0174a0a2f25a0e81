"""What `ganger submit` says of how a program is run: by what, within which limits, near and far from what."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeAlias

import typer

from ganger.cli.submit.inputs import constraint
from ganger.errors import UsageError

MOST_WEIGHT = 1000
"""As in the API."""

HOW, LIMITS, LIKES = "How it is run", "Its limits", "Where it would like to run"


def _how(text: str, *names: str, **bounds: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=HOW, **bounds)


def _limit(text: str, *names: str, **bounds: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=LIMITS, **bounds)


def _like(text: str, *names: str) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=LIKES)


Image: TypeAlias = Annotated[
    str | None, _how("Run the command in a container: registry.example/tool:1.2, or dir:/folder.", "--image")
]
Network: TypeAlias = Annotated[str | None, _how("Of the container: host or none.", "--network")]
Python: TypeAlias = Annotated[
    bool, _how("The command is Python: a script, or module:function with its inputs.", "--python")
]
Interpreter: TypeAlias = Annotated[
    str | None, _how("Python of this name or path, such as python3.12; means --python.", "--interpreter")
]
Requirements: TypeAlias = Annotated[
    list[str] | None, _how("Python package it needs, such as numpy>=2; means --python.", "--require")
]
Secrets: TypeAlias = Annotated[
    list[str] | None, _how("Name of a secret of the project, which it gets as a file.", "--secret")
]
PreTimeout: TypeAlias = Annotated[int | None, _limit("Seconds to make its inputs ready.", "--pre-timeout", min=1)]
PostTimeout: TypeAlias = Annotated[int | None, _limit("Seconds to collect its outputs.", "--post-timeout", min=1)]
Grace: TypeAlias = Annotated[int | None, _limit("Seconds between SIGTERM and the kill.", "--grace", min=0)]
Processes: TypeAlias = Annotated[int | None, _limit("Most processes and threads.", "--max-processes", min=2)]
OpenFiles: TypeAlias = Annotated[int | None, _limit("Most open files of a process.", "--max-open-files", min=16)]
OnOom: TypeAlias = Annotated[
    str | None,
    _limit("After a lack of memory try again with more: 2 is twice as much, 2:65536 at most 65536 MiB.", "--on-oom"),
]
Prefer: TypeAlias = Annotated[
    list[str] | None, _like("Like --constraint, but only liked: zone=a, or disk=ssd*5 with a weight.", "--prefer")
]
Apart: TypeAlias = Annotated[
    str | None, _like("No two of its kind where this label has the same value; node: on one node.", "--apart")
]
Spread: TypeAlias = Annotated[str | None, _like("Even its kind out over the values of this label.", "--spread")]
Preemptible: TypeAlias = Annotated[
    bool,
    _like(
        "More urgent jobs may take its room; has an effect only where preemption is on, which `ganger status` says.",
        "--preemptible",
    ),
]


def runner(
    *, image: str | None, network: str | None, python: bool, interpreter: str | None, require: list[str] | None
) -> dict[str, Any]:
    """Return the fields of a request that say what runs the command. Raises UsageError for two at once."""
    is_python = python or interpreter is not None or bool(require)
    if is_python and (image or network):
        raise UsageError("a job is run by Python on the node or in a container, not both")
    if network is not None and image is None:
        raise UsageError("--network is for a container: say which with --image")
    if is_python:
        options = {"interpreter": interpreter, "requirements": require}
        return {"runner": "python", "options": {name: value for name, value in options.items() if value} or None}
    return {"image": image, "options": {"network": network} if network else None}


def on_oom(text: str | None) -> dict[str, float] | None:
    """Return what a lack of memory changes. Raises UsageError."""
    if text is None:
        return None
    factor, colon, most = text.partition(":")
    try:
        return {"mem_factor": float(factor), **({"mem_max": float(most)} if colon else {})}
    except ValueError as error:
        raise UsageError(f"--on-oom takes FACTOR or FACTOR:MIB such as 2:65536, not {text!r}") from error


def preference(text: str) -> dict[str, Any]:
    """Return a preference as the API writes it. Raises UsageError."""
    what, star, weight = text.rpartition("*")
    if not star:
        return constraint(text, "--prefer")
    if not re.fullmatch(r"-?\d+(\.\d+)?", weight):
        raise UsageError(
            f"--prefer: {text!r}: behind * stands a weight such as 5, not {weight!r}; with a * in the value write {text}*1"
        )
    if abs(float(weight)) > MOST_WEIGHT:
        raise UsageError(f"--prefer: {text!r}: a weight is from -{MOST_WEIGHT} to {MOST_WEIGHT}")
    return {**constraint(what, "--prefer"), "weight": float(weight)}
