"""What the agent orders of the supervisor: one phase of one execution, checked field by field."""

import re
from typing import Any, Final, NamedTuple

from workers.supervisor.limits import PHASES
from workers.supervisor.trees import Limits

_LIMITS: Final = ("cpus", "mem", "disk", "pids", "nofile", "fsize", "output_bytes")
_TREE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")  # also the name of a folder


class OrderError(ValueError):
    """An order that cannot be read; the message names the field."""


class FileLimits(NamedTuple):
    """Limits of each single process; `None` leaves the supervisor's own."""

    nofile: int | None = None  # open files
    fsize: int | None = None  # bytes in any one file


class Order(NamedTuple):
    """Start this program as this phase of this tree."""

    tree: str
    phase: str
    argv: list[str]
    env: dict[str, str]
    cwd: str
    stdout: str
    stderr: str
    timeout_s: float | None
    grace_s: float
    lease_s: float | None
    limits: Limits
    file_limits: FileLimits
    output_bytes: int | None  # what each output file may keep on disk
    folder: str | None  # all of the tree's own; measured
    disk_bytes: int | None  # what it may hold
    uid: int | None
    gid: int | None
    groups: list[int]


def read(run: dict[str, Any]) -> Order:
    """Check one run of a `start`. Raises `OrderError`."""
    if not isinstance(run, dict):
        raise OrderError("a run must be an object")
    limits = run.get("limits") or {}
    if not isinstance(limits, dict):
        raise OrderError("limits must be an object")
    whole = {name: _whole(limits, name) for name in _LIMITS}
    uid, gid = _whole(run, "uid"), _whole(run, "gid")
    if (uid is None) != (gid is None):
        raise OrderError("uid and gid come together")
    return Order(
        tree=tree_name(run.get("tree")),
        phase=phase_name(run.get("phase")),
        argv=_argv(run.get("argv")),
        env=_env(run.get("env")),
        cwd=_path(run, "cwd"),
        stdout=_path(run, "stdout"),
        stderr=_path(run, "stderr"),
        timeout_s=_seconds(run, "timeout_s"),
        grace_s=_seconds(run, "grace_s") or 0.0,
        lease_s=_seconds(run, "lease_s"),
        limits=Limits(whole["cpus"], whole["mem"], whole["pids"]),
        file_limits=FileLimits(whole["nofile"], whole["fsize"]),
        output_bytes=whole["output_bytes"],
        folder=None if run.get("folder") is None else _path(run, "folder"),
        disk_bytes=None if whole["disk"] is None else whole["disk"] * (1 << 20) // 1000,
        uid=uid,
        gid=gid,
        groups=_groups(run.get("groups") or []),
    )


def tree_name(value: object) -> str:
    """Check a tree's name. Raises `OrderError`."""
    if not isinstance(value, str) or not _TREE_NAME.fullmatch(value):
        raise OrderError(f"tree must be a plain name of at most 200 characters, not {value!r}")
    return value


def phase_name(value: object) -> str:
    """Check a phase's name. Raises `OrderError`."""
    if value not in PHASES:
        raise OrderError(f"phase must be one of {', '.join(PHASES)}, not {value!r}")
    return str(value)


def _argv(value: object) -> list[str]:
    if not isinstance(value, list) or not value or not all(_is_text(item) for item in value) or not value[0]:
        raise OrderError("argv must be a list of texts, beginning with the program")
    return value


def _env(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(_is_text(key) and _is_text(item) for key, item in value.items()):
        raise OrderError("env must map names to texts")
    if any(not key or "=" in key for key in value):
        raise OrderError("a name in env must not be empty nor hold '='")
    return value


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _path(run: dict[str, Any], name: str) -> str:
    value = run.get(name)
    if not _is_text(value) or not str(value).startswith("/"):
        raise OrderError(f"{name} must be an absolute path")
    return str(value)


def _seconds(run: dict[str, Any], name: str) -> float | None:
    value = run.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise OrderError(f"{name} must be seconds, not {value!r}")
    return float(value)


def _whole(fields: dict[str, Any], name: str) -> int | None:
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise OrderError(f"{name} must be a whole number, not {value!r}")
    return value


def _groups(value: object) -> list[int]:
    if not isinstance(value, list) or not all(isinstance(group, int) and group >= 0 for group in value):
        raise OrderError("groups must be a list of group ids")
    return value
