"""Paths: where the files of an execution lie on this node. Nothing here touches the disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from scheduler.identifiers import Attempt, ExecutionId
from workers.supervisor.limits import PHASES, TEMPORARY
from workers.supervisor.output_order import SUFFIX

ExecutionKey: TypeAlias = tuple[ExecutionId, Attempt]
"""(execution id, attempt): the key of everything that a node knows about an execution."""

STREAMS = ("stdout", "stderr")


PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Search path of jobs that declare none: the system's own folders, not the agent's."""


def tree_name(key: ExecutionKey) -> str:
    """Return the name of an execution's process tree, which is also the name of its directory."""
    return f"{key[0]}.{key[1]}"


def key_of(name: str) -> ExecutionKey | None:
    """Return the key that a process tree or directory is named after; None if it is not named after any."""
    execution, _, attempt = name.partition(".")
    if execution.isdecimal() and attempt.isdecimal():
        return ExecutionId(int(execution)), Attempt(int(attempt))
    return None


@dataclass(frozen=True, slots=True)
class Paths:
    """`work` has one directory for each attempt, `logs` the output of programs until it is shipped. Both are absolute."""

    work: str
    logs: str
    secret_dirs: str = ""
    """Folder of the secret directories; by default below `work`."""

    def covered_at(self) -> str | None:
        """Return the name in `/tmp` or `/var/tmp` that leads to `work`, where jobs see a folder of their own; None elsewhere."""
        for place in TEMPORARY:
            if self.work.startswith(f"{place}/"):
                return self.work.removeprefix(f"{place}/").partition("/")[0]
        return None

    def attempt(self, key: ExecutionKey) -> str:
        """Return the attempt's own directory, which its user owns."""
        return f"{self.work}/{tree_name(key)}"

    def inputs(self, key: ExecutionKey) -> str:
        """Return `${job_input_dir}`."""
        return f"{self.work}/{tree_name(key)}/in"

    def outputs(self, key: ExecutionKey) -> str:
        """Return `${job_output_dir}`."""
        return f"{self.work}/{tree_name(key)}/out"

    def scratch(self, key: ExecutionKey) -> str:
        """Return `${job_work_dir}`, where commands start."""
        return f"{self.work}/{tree_name(key)}/work"

    def temporary(self, key: ExecutionKey) -> str:
        """Return the folder that commands see as /tmp and /var/tmp."""
        return f"{self.work}/{tree_name(key)}/tmp"  # noqa: S108  the attempt's own

    def secret_home(self) -> str:
        """Return the folder of all secret directories."""
        return self.secret_dirs or f"{self.work}/.boxes"

    def secret_dir(self, key: ExecutionKey) -> str:
        """Return the attempt's secret directory: its secrets and the descriptions of its containers. Most have none."""
        return f"{self.secret_home()}/{tree_name(key)}"

    def secrets(self, key: ExecutionKey) -> str:
        """Return `$GANGER_SECRETS_DIR`."""
        return f"{self.secret_dir(key)}/secrets"

    def all_logs(self, key: ExecutionKey) -> list[str]:
        """Return every file that may hold output of this execution."""
        logs = [self.log(key, phase, stream) for phase in PHASES for stream in STREAMS]
        return [*logs, *(self.log(key, phase, STREAMS[0]) + SUFFIX for phase in PHASES)]

    def log(self, key: ExecutionKey, phase: str, stream: str) -> str:
        """Return the file that a command of this phase writes its stdout or stderr to."""
        return f"{self.logs}/{tree_name(key)}.{phase}.{stream}"
