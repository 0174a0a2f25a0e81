"""The kinds of programs a job type can name, and the options of each.

A command has none. Python has `interpreter`, `requirements` (arguments for pip) and `path` (folders to import from).
A container has `image` (`dir:/folder` for a root file system that the node has, or a reference that the node's own
docker or podman can fetch) and `network` (`host` or `none`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from scheduler.documents import Document, JsonValue
from scheduler.errors import FaultList

COMMAND: Final = "command"
PYTHON: Final = "python"
RunnerKind: TypeAlias = Literal["command", "python", "container"]
RUNNERS: Final[tuple[RunnerKind, ...]] = (COMMAND, PYTHON, "container")
FOLDER: Final = "dir:"
FETCHES: Final = "runner.container.fetch"
"""The label of a node that can fetch images; without it, only folders can be images."""

MAX_REQUIREMENTS: Final = 500
_MAX_TEXT: Final = 500
_IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9._/:@-]{0,499}\Z")
_REQUIREMENT = re.compile(r"[A-Za-z0-9][^\x00-\x1f\x7f]{0,499}\Z")


def kind_of(runner: str) -> RunnerKind:
    """Return the kind that a definition names; it was checked when the definition was made. Raises StopIteration otherwise."""
    return next(kind for kind in RUNNERS if kind == runner)


def note_faults(runner: str, options: Mapping[str, JsonValue], faults: FaultList) -> None:
    """Note an unknown kind, and options that it does not have or that have other values than it takes."""
    if runner not in RUNNERS:
        faults.note(f"{runner!r} is not one of {', '.join(RUNNERS)}", field="runner")
        return
    known = _OPTIONS[runner]
    for name, value in options.items():
        wrong = known[name](value) if name in known else f"the runner {runner!r} takes no option {name!r}"
        if wrong is not None:
            faults.note(wrong, field=f"options.{name}")
    if runner == "container" and not options.get("image"):
        faults.note("a container needs an image", field="options.image")


def constraints(runner: str, options: Mapping[str, JsonValue]) -> list[Document]:
    """Return the constraints on a node's labels that such a program needs, in their stored form."""
    wanted = [] if runner == COMMAND else [f"runner.{runner}"]
    if runner == "container" and not str(options.get("image", "")).startswith(FOLDER):
        wanted.append(FETCHES)
    return [{"label": label, "op": "exists", "value": ""} for label in wanted]


def _image(value: object) -> str | None:
    if isinstance(value, str) and value.startswith(FOLDER):
        path = value.removeprefix(FOLDER)
        good = path.startswith("/") and "\0" not in path and ".." not in path.split("/") and len(path) <= _MAX_TEXT
        return None if good else "after dir: comes the absolute path of a folder on the node"
    if isinstance(value, str) and _IMAGE.match(value):
        return None
    return "an image is a reference such as registry.example/name:tag, or dir:/folder"


def _word(value: object) -> str | None:
    good = isinstance(value, str) and 0 < len(value) <= _MAX_TEXT and "\0" not in value
    return None if good else "it must be a text of 1 to 500 characters"


def _requirements(value: object) -> str | None:
    if not isinstance(value, list) or len(value) > MAX_REQUIREMENTS:
        return f"it must be a list of at most {MAX_REQUIREMENTS} requirements"
    wrong = next((one for one in value if not isinstance(one, str) or not _REQUIREMENT.match(one)), None)
    return None if wrong is None else f"{wrong!r} is not a requirement such as numpy>=2"


def _folders(value: object) -> str | None:
    good = isinstance(value, list) and all(isinstance(one, str) and one.startswith("/") for one in value)
    return None if good else "it must be a list of absolute folders"


def _network(value: object) -> str | None:
    return None if value in ("host", "none") else "it must be host or none"


_OPTIONS: Final[Mapping[str, Mapping[str, Callable[[object], str | None]]]] = MappingProxyType(
    {
        COMMAND: {},
        PYTHON: {"interpreter": _word, "requirements": _requirements, "path": _folders},
        "container": {"image": _image, "network": _network},
    }
)
