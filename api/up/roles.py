"""The roles that `ganger up` runs beside the servers, as processes of their own: what each is told, and what it is not.

They are the very commands `ganger api`, `ganger scheduler` and `ganger worker`. A node gets no database credentials.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from api.up.embedded import child_process
from api.up.embedded.child_process import ChildSpec
from api.up.embedded.state import StateFolder

# The names of the nodes' processes, logs and records begin with this.
WORKER = "worker-"
SCHEDULER = "scheduler"
# A role ends what it is doing within this, or is killed; a worker also ends its node's supervisor and jobs.
STOP_WITHIN_S = 15.0
WORKER_STOP_WITHIN_S = 30.0
# Kept free for the system and Ganger itself when several nodes share this machine; the agent does so for a single one.
RESERVED_MIB = 512
MIB = 1024 * 1024
# The API finds the keys of secrets in these; no other role gets them.
_KEYS = ("GANGER_SECRETS_KEY", "GANGER_SECRETS_KEY_FILE")
# A role inherits these only if it needs them.
_FOR_SOME = ("GANGER_DATABASE_URL", *_KEYS)


@dataclass(frozen=True, slots=True)
class Address:
    """Where the API listens, and where its clients on this machine find it."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address for clients on this machine: a wildcard host becomes the loopback one."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self.host, self.host)  # noqa: S104 - a name
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class NodeSize:
    """The resources that one node may hand out; None lets the node measure the machine."""

    cpus: Decimal | None = None
    mem: int | None = None  # MiB
    disk: int | None = None  # MiB


@dataclass(frozen=True, slots=True)
class RoleContext:
    """The facts that every role gets: state folder, servers, and the address of the API."""

    folder: StateFolder
    database_url: str
    broker_url: str
    node_broker_url: str
    address: Address

    def environment(self, **more: str) -> dict[str, str]:
        """Return the caller's environment with our settings in place of whatever stood there."""
        kept = {name: value for name, value in os.environ.items() if name not in _FOR_SOME}
        if "PYTHONPATH" in kept:  # roles run in another folder
            kept["PYTHONPATH"] = os.pathsep.join(
                str(Path(entry).absolute()) for entry in kept["PYTHONPATH"].split(os.pathsep) if entry
            )
        return {
            **kept,
            child_process.MARK: str(self.folder.root),
            "GANGER_STATE_DIR": str(self.folder.root),
            "GANGER_BROKER_URL": self.broker_url,
            "GANGER_API_URL": self.address.url,
            **more,
        }


def api(context: RoleContext) -> ChildSpec:
    """Return the start of the API."""
    address = context.address
    keys = {name: os.environ[name] for name in _KEYS if name in os.environ}
    if context.folder.account is not None:
        keys["GANGER_API_USER"] = os.environ.get("GANGER_API_USER", context.folder.account.name)
    words = ["api", "--host", address.host, "--port", str(address.port)]
    return _spec(context, "api", words, context.environment(GANGER_DATABASE_URL=context.database_url, **keys))


def scheduler(context: RoleContext) -> ChildSpec:
    """Return the start of the scheduler."""
    more = {"GANGER_DATABASE_URL": context.database_url, "GANGER_NODE_BROKER_URL": context.node_broker_url}
    if "GANGER_POOL_DRIVER" not in os.environ:
        more["GANGER_POOL_DRIVER"] = "local"  # a pool that is scaled up gets its nodes on this machine
    return _spec(context, SCHEDULER, [SCHEDULER], context.environment(**more))


def worker(context: RoleContext, name: str, size: NodeSize, token_file: Path) -> ChildSpec:
    """Return the start of one node of this machine."""
    asked = {"--cpus": size.cpus, "--mem": size.mem, "--disk": size.disk}
    words = ["worker", "--name", name]
    for option, value in asked.items():
        if value is not None:
            words += [option, str(value)]
    environment = context.environment(GANGER_NODE_TOKEN_FILE=str(token_file), GANGER_BROKER_URL=context.node_broker_url)
    spec = _spec(context, f"{WORKER}{name}", words, environment, WORKER_STOP_WITHIN_S)
    # Should we be killed, the agent must not hand back its work, as it does on SIGTERM: its supervisor keeps the jobs
    # running, and the next start's agent takes them over.
    return replace(spec, death_signal=signal.SIGKILL)


def node_names(count: int) -> list[str]:
    """Return names for the nodes of this machine: its host name, then with numbers."""
    host = re.sub(r"[^A-Za-z0-9._-]+", "-", socket.gethostname().partition(".")[0]).lstrip("._-")[:100] or "node"
    return [host, *(f"{host}-{number}" for number in range(2, count + 1))]


def share(size: NodeSize, count: int, folder: Path) -> NodeSize:
    """Return one node's part where several share the machine; what was asked for is each node's own."""
    if count == 1:
        return size
    memory = max(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // MIB - RESERVED_MIB, RESERVED_MIB)
    return NodeSize(
        cpus=size.cpus or max(Decimal(len(os.sched_getaffinity(0))) / count, Decimal("0.5")),
        mem=size.mem or memory // count,
        disk=size.disk or shutil.disk_usage(folder).free // MIB // count,
    )


def _spec(
    context: RoleContext,
    name: str,
    words: list[str],
    environment: Mapping[str, str],
    stop_within_s: float = STOP_WITHIN_S,
) -> ChildSpec:
    """`-P` keeps the folder we stand in off the import path: it might hold another package of the name `scheduler`."""
    return ChildSpec(
        name=name,
        argv=[sys.executable, "-P", "-m", "ganger", *words],
        log=context.folder.logs / f"{name}.log",
        record=context.folder.pids / name,
        environment=environment,
        stop_within_s=stop_within_s,
    )
