"""The command driver: a program of the operator starts and removes nodes.

The program is called as `PROGRAM start N`, `PROGRAM retire NAME…`, `PROGRAM revive NAME…` and `PROGRAM list`. It prints one name a line
(`list` may add `gone` after a name whose process has ended). When it fails, its last line on stderr says why. Its
environment has GANGER_POOL, GANGER_API_URL, GANGER_BROKER_URL, GANGER_WORKER_OPTIONS (for `start` and `revive`: the
options of `ganger worker` for the new nodes, without their names) and GANGER_TAKEN (names that are in use).
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence

from scheduler.pools.drivers import node_arguments
from scheduler.pools.drivers.context import DriverContext
from scheduler.pools.drivers.driver import DriverTrouble, Instance, InstanceList, NodeTemplate
from scheduler.rules.cluster.resources import Resources


class CommandDriver:
    """The nodes of one pool that an operator's program manages."""

    starts = True
    picks = True

    def __init__(
        self,
        pool: str,
        context: DriverContext,
        argv: Sequence[str],
        *,
        within_s: float = 60.0,
        look_every_s: float = 15.0,
        join_within_s: float = 600.0,
        template: Resources | None = None,
    ) -> None:
        self._pool, self._context, self._argv, self._within_s = pool, context, list(argv), within_s
        self.look_every_s, self.join_within_s, self._template = look_every_s, join_within_s, template

    def start(self, count: int, template: NodeTemplate) -> list[str]:
        """Ask for new nodes. A platform that names its nodes later prints nothing yet."""
        return self._call("start", str(count), more=_options(template)).split()

    def retire(self, names: Sequence[str]) -> None:
        """Have these machines removed."""
        if names:
            self._call("retire", *names)

    def revive(self, names: Sequence[str], template: NodeTemplate) -> None:
        """Have these nodes started again."""
        if names:
            self._call("revive", *names, more=_options(template))

    def listing(self) -> InstanceList:
        """Return the instances that the program lists."""
        lines = [line.split() for line in self._call("list").splitlines() if line.strip()]
        return InstanceList(tuple(Instance(words[0], "gone" not in words[1:]) for words in lines))

    def template(self) -> Resources | None:
        """Return the amounts that the driver's own settings give a node."""
        return self._template

    def _call(self, *words: str, more: Mapping[str, str] | None = None) -> str:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GANGER_")},
            "GANGER_POOL": self._pool,
            "GANGER_API_URL": self._context.need_api(),
            "GANGER_BROKER_URL": self._context.broker_url or "",
            "GANGER_TAKEN": " ".join(sorted(self._context.taken())) if words[0] == "start" else "",
            **(more or {}),
        }
        try:
            done = subprocess.run(
                [*self._argv, *words],
                capture_output=True,
                text=True,
                env=environment,
                timeout=self._within_s,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DriverTrouble(f"{self._argv[0]} {words[0]}: {error}") from error
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise DriverTrouble(f"{self._argv[0]} {words[0]}: {said[-1]}")
        return done.stdout


def _options(template: NodeTemplate) -> dict[str, str]:
    return {"GANGER_WORKER_OPTIONS": shlex.join(node_arguments.options("", template)[2:])}
