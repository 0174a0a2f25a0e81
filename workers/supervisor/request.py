"""The request to start one run: the command of one phase of one execution, complete.

The agent builds it and encodes it; the supervisor decodes it and checks it field by field. Releases may differ: a
supervisor ignores the fields that it does not know, and takes those that are absent as unset.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, cast

from workers.supervisor.confining import confinement
from workers.supervisor.confining.confinement import Confinement
from workers.supervisor.limits import ENVIRONMENT, PHASES
from workers.supervisor.trees import TreeLimits

_TREE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")  # also the name of a folder

RunKey: TypeAlias = tuple[str, str]
"""Tree and phase: what everything about a run is filed under."""


class RequestError(ValueError):
    """A request that cannot be read; the message names the field."""


class RunLimits(NamedTuple):
    """The limits of a run; `None` is no limit. `nofile` and `fsize` hold for each single process."""

    cpus: int | None = None  # thousandths of a cpu
    mem: int | None = None  # thousandths of a MiB
    disk: int | None = None  # thousandths of a MiB, in all of the tree's folder
    pids: int | None = None  # processes and threads
    nofile: int | None = None  # open files
    fsize: int | None = None  # bytes in any one file
    output_bytes: int | None = None  # what each output file may keep on disk

    @property
    def of_tree(self) -> TreeLimits:
        """The limits that the process tree enforces."""
        return TreeLimits(self.cpus, self.mem, self.pids)

    @property
    def disk_bytes(self) -> int | None:
        """How many bytes the tree's folder may hold."""
        return None if self.disk is None else self.disk * (1 << 20) // 1000


class RunRequest(NamedTuple):
    """Start this program as this phase of this tree. Durations in seconds; paths are absolute."""

    tree: str
    phase: str
    argv: list[str]
    env: dict[str, str]  # complete: nothing is inherited
    cwd: str
    stdout: str  # appended to; its folder must not be writable by the job
    stderr: str
    timeout_s: float | None = None
    grace_s: float = 0.0  # between being asked to end and being killed
    lease_s: float | None = None  # without a heartbeat for that long it must not run any more
    limits: RunLimits = RunLimits()
    folder: str | None = None  # all of the tree's own; measured
    uid: int | None = None
    gid: int | None = None
    groups: Sequence[int] = ()
    confinement: Confinement | None = None
    sample_s: float | None = None  # how often its use of resources is told while it runs; unset: never
    keep_output_bytes: int = 0  # up to so much of each stream is told with the end, and in no file

    def encode(self) -> dict[str, Any]:
        """Return the request as the socket carries it."""
        confined = None if self.confinement is None else self.confinement._asdict()
        return {**self._asdict(), "limits": self.limits._asdict(), "confinement": confined}


def decode(run: object) -> RunRequest:
    """Read and check one run of a `start` message. Raises `RequestError`."""
    if not isinstance(run, dict):
        raise RequestError("a run must be an object")
    limits = run.get("limits") or {}
    if not isinstance(limits, dict):
        raise RequestError("limits must be an object")
    uid, gid = _whole(run, "uid"), _whole(run, "gid")
    if (uid is None) != (gid is None):
        raise RequestError("uid and gid come together")
    return RunRequest(
        tree=checked_tree(run.get("tree")),
        phase=_phase(run.get("phase")),
        argv=_argv(run.get("argv")),
        env=_env(run.get("env")),
        cwd=_path(run, "cwd"),
        stdout=_path(run, "stdout"),
        stderr=_path(run, "stderr"),
        timeout_s=_seconds(run, "timeout_s"),
        grace_s=_seconds(run, "grace_s") or 0.0,
        lease_s=_seconds(run, "lease_s"),
        limits=RunLimits(*(_whole(limits, name) for name in RunLimits._fields)),
        folder=None if run.get("folder") is None else _path(run, "folder"),
        uid=uid,
        gid=gid,
        groups=_groups(run.get("groups") or []),
        confinement=_confinement(run.get("confinement")),
        sample_s=_seconds(run, "sample_s") or None,
        keep_output_bytes=_whole(run, "keep_output_bytes") or 0,
    )


def checked_tree(value: object) -> str:
    """Return a tree's name. Raises `RequestError` where it is none."""
    if not isinstance(value, str) or not _TREE_NAME.fullmatch(value):
        raise RequestError(f"tree must be a plain name of at most 200 characters, not {value!r}")
    return value


def _phase(value: object) -> str:
    if value not in (ENVIRONMENT, *PHASES):
        raise RequestError(f"phase must be {ENVIRONMENT} or one of {', '.join(PHASES)}, not {value!r}")
    return str(value)


def _argv(value: object) -> list[str]:
    if not isinstance(value, list) or not value or not _are_texts(value) or not value[0]:
        raise RequestError("argv must be a list of texts, beginning with the program")
    return value


def _env(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not _are_texts(value) or not _are_texts(value.values()):
        raise RequestError("env must map names to texts")
    if "" in value or "=" in "".join(value):
        raise RequestError("a name in env must not be empty nor hold '='")
    return value


def _are_texts(values: Iterable[object]) -> bool:
    """Whether all of them are texts that a program can be given."""
    try:
        return "\0" not in "".join(cast("Iterable[str]", values))  # which is what is found out
    except TypeError:
        return False


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _path(run: dict[str, Any], name: str) -> str:
    value = run.get(name)
    if not _is_text(value) or not str(value).startswith("/"):
        raise RequestError(f"{name} must be an absolute path")
    return str(value)


def _seconds(run: dict[str, Any], name: str) -> float | None:
    value = run.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise RequestError(f"{name} must be seconds, not {value!r}")
    return float(value)


def _whole(fields: dict[str, Any], name: str) -> int | None:
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise RequestError(f"{name} must be a whole number, not {value!r}")
    return value


def _confinement(value: object) -> Confinement | None:
    try:
        return confinement.decode(value)
    except ValueError as error:
        raise RequestError(str(error)) from error


def _groups(value: object) -> list[int]:
    if not isinstance(value, list) or not all(isinstance(group, int) and group >= 0 for group in value):
        raise RequestError("groups must be a list of group ids")
    return value
