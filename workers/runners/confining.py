"""How the runs of this node are confined: what its settings say, made into the confinement of one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workers.paths import ExecutionKey, Paths
from workers.supervisor.confining.confinement import Confinement
from workers.supervisor.confining.syscall_filter import NAMESPACES

_BYTES_PER_THOUSANDTH_MIB = (1 << 20, 1000)


@dataclass(frozen=True, slots=True)
class ConfinementRules:
    """`shared` folders may be written by all jobs, `hidden` ones are not there. `calls` is the kind of filter of kernel calls."""

    shared: Sequence[str] = ()
    hidden: Sequence[str] = ()
    readable: Sequence[str] = ()
    read_only: bool = True
    calls: str | None = None
    own_users: bool = False
    """Whether each execution has a user id of its own."""

    def of(self, key: ExecutionKey, paths: Paths, runner: str, mem: int | None, *, secret: bool = True) -> Confinement:
        """Return the confinement of a run. `mem` is its limit of memory in thousandths of a MiB.

        The runtime of containers needs namespaces and keeps its state in the secret directory. `secret` says whether there
        is one.
        """
        is_container = runner == "container"
        secret_dir = paths.secret_dir(key)
        factor, divisor = _BYTES_PER_THOUSANDTH_MIB
        return Confinement(
            tmp=paths.temporary(key),
            writable=[*self.shared, paths.attempt(key), *([secret_dir] if is_container else [])],
            readable=[*self.readable, *([secret_dir] if secret and not is_container else [])],
            hidden=self.hidden,
            read_only=self.read_only,
            shm_bytes=None if mem is None else mem * factor // divisor,
            calls=NAMESPACES if is_container and self.calls else self.calls,
            kept=self.own_users and not secret and not is_container,
            own_processes=self.own_users and not is_container,
        )
