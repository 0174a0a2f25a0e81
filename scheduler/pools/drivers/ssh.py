"""The ssh driver: nodes on other machines by plain OpenSSH, where only Ganger has to be installed.

The host with the fewest nodes gets the next one. A host that cannot be reached keeps its nodes: they work on, and
their absence in the list means nothing.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from scheduler.pools.drivers import node_arguments, remote_script
from scheduler.pools.drivers.context import DriverContext
from scheduler.pools.drivers.driver import DriverTrouble, Instance, InstanceList, NodeTemplate
from scheduler.rules.cluster.resources import Resources

T = TypeVar("T")

_STOP_WITHIN_S = 15.0
_CALL_WITHIN_S = 60.0
_HOSTS_AT_ONCE = 16
_OPTIONS = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "ServerAliveInterval=5")
"""OpenSSH never asks a question and never hangs: a host that does not answer counts as a host that cannot be reached."""


@dataclass(frozen=True, slots=True)
class RemoteHost:
    """A machine: the destination for OpenSSH, the first part of its nodes' names, and the number of nodes it may have."""

    address: str
    name: str
    nodes: int = 1


class SshDriver:
    """The nodes of one pool on a list of hosts."""

    starts = True
    picks = True
    look_every_s = 15.0
    join_within_s = 120.0

    def __init__(
        self,
        pool: str,
        context: DriverContext,
        hosts: Sequence[RemoteHost],
        *,
        ssh: Sequence[str] = ("ssh",),
        ganger: Sequence[str] = ("ganger",),
        folder: str = ".ganger/pools",
        template: Resources | None = None,
    ) -> None:
        self._pool, self._context, self._hosts, self._template = pool, context, list(hosts), template
        self._ssh, self._ganger, self._root = [*ssh, *_OPTIONS], list(ganger), f"{folder}/{pool}"
        self._where: dict[str, RemoteHost] = {}

    def start(self, count: int, template: NodeTemplate) -> list[str]:
        """Start nodes, the emptiest hosts first; starts fewer than asked for when all hosts are full."""
        found = self._listed()
        load = {host: len(instances) for host, instances in found.items() if isinstance(instances, list)}
        taken = self._context.taken() | {i.name for instances in found.values() for i in _known(instances)}
        chosen: list[tuple[str, RemoteHost]] = []
        while len(chosen) < count and (open_hosts := [host for host in load if load[host] < host.nodes]):
            host = min(open_hosts, key=lambda host: load[host] / host.nodes)
            name = node_arguments.fresh_names(f"{host.name}-{self._pool}", taken, 1)[0]
            load[host] += 1
            taken.add(name)
            chosen.append((name, host))
        if not chosen:
            raise DriverTrouble(_full(found))
        self._each(chosen, lambda pair: self._launch(*pair, template))
        return [name for name, _ in chosen]

    def retire(self, names: Sequence[str]) -> None:
        """End all processes of these nodes and remove their folders."""
        hosts = self._hosts_of(names)
        self._each(hosts.items(), lambda pair: self._run(pair[0], self._retire_script(pair[1])))
        for name in names:
            self._context.drop_token(name)
            self._where.pop(name, None)

    def revive(self, names: Sequence[str], template: NodeTemplate) -> None:
        """Start the agents again on their old folders."""
        self._each(
            [(name, host) for host, mine in self._hosts_of(names).items() for name in mine],
            lambda pair: self._launch(*pair, template),
        )

    def listing(self) -> InstanceList:
        """Return the instances on all hosts that answer; `trouble` names the hosts that do not."""
        found = self._listed()
        trouble = "; ".join(str(failure) for failure in found.values() if isinstance(failure, DriverTrouble))
        return InstanceList(tuple(i for instances in found.values() for i in _known(instances)), trouble or None)

    def template(self) -> Resources | None:
        """Return the amounts that the driver's own settings give a node."""
        return self._template

    def _launch(self, name: str, host: RemoteHost, template: NodeTemplate) -> None:
        broker = self._context.broker_url
        script = remote_script.start(
            self._root,
            name,
            token=self._context.token_for(name).read_text().strip(),
            environment={
                "GANGER_API_URL": self._context.need_api(),
                **({"GANGER_BROKER_URL": broker} if broker else {}),
            },
            command=[*self._ganger, "worker", *node_arguments.options(name, template)],
        )
        self._where[name] = host
        self._run(host, script)

    def _retire_script(self, names: Iterable[str]) -> str:
        return remote_script.retire(self._root, names, within_s=_STOP_WITHIN_S)

    def _listed(self) -> dict[RemoteHost, list[Instance] | DriverTrouble]:
        def instances_on(host: RemoteHost) -> list[Instance] | DriverTrouble:
            try:
                told = self._run(host, remote_script.listing(self._root))
            except DriverTrouble as trouble:
                return trouble
            pairs = (line.split() for line in told.splitlines())
            return [Instance(name, state == "running") for name, state in pairs]

        answers = self._at_once(self._hosts, instances_on)
        found = dict(zip(self._hosts, answers, strict=True))
        self._where |= {i.name: host for host, instances in found.items() for i in _known(instances)}
        return found

    def _hosts_of(self, names: Iterable[str]) -> dict[RemoteHost, list[str]]:
        wanted = list(names)
        if any(name not in self._where for name in wanted):
            self._listed()
        hosts: dict[RemoteHost, list[str]] = {}
        for name in wanted:
            if name in self._where:
                hosts.setdefault(self._where[name], []).append(name)
        return hosts

    def _run(self, host: RemoteHost, script: str) -> str:
        try:
            done = subprocess.run(
                [*self._ssh, host.address, "sh -s"],
                input=script,
                capture_output=True,
                text=True,
                timeout=_CALL_WITHIN_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DriverTrouble(f"{host.address}: {error}") from error
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise DriverTrouble(f"{host.address}: {said[-1]}")
        return done.stdout

    def _each(self, things: Iterable[T], do: Callable[[T], object]) -> None:
        """Call `do` for all, several at a time; raise the first trouble once all are done."""
        troubles = [trouble for trouble in self._at_once(list(things), _caught(do)) if trouble is not None]
        if troubles:
            raise troubles[0]

    def _at_once(self, things: Sequence[T], do: Callable[[T], U]) -> list[U]:
        if len(things) == 1:
            return [do(things[0])]
        with ThreadPoolExecutor(min(_HOSTS_AT_ONCE, max(len(things), 1))) as crew:
            return list(crew.map(do, things))


U = TypeVar("U")


def _caught(do: Callable[[T], object]) -> Callable[[T], DriverTrouble | None]:
    def attempt(thing: T) -> DriverTrouble | None:
        try:
            do(thing)
        except DriverTrouble as trouble:
            return trouble
        return None

    return attempt


def _known(instances: list[Instance] | DriverTrouble) -> list[Instance]:
    return [] if isinstance(instances, DriverTrouble) else instances


def _full(found: dict[RemoteHost, list[Instance] | DriverTrouble]) -> str:
    away = [str(failure) for failure in found.values() if isinstance(failure, DriverTrouble)]
    return f"no host can be reached: {away[0]}" if len(away) == len(found) and away else "every host has all its nodes"
