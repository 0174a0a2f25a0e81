"""The drivers of an installation: `local` and `external` always, others as a file on the scheduler's machine describes them.

A pool names a driver; it never says what the driver runs. So nobody can make the scheduler start a program over HTTP.

    [driver.rack]
    kind = "ssh"
    hosts = ["ganger@10.0.0.5", {address = "10.0.0.6", name = "big", nodes = 2}]

    [driver.cloud]
    kind = "command"
    argv = ["/etc/ganger/cloud-nodes"]

    [driver.cluster]
    kind = "kubernetes"
    statefulset = "ganger-worker"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from scheduler.errors import SetupError
from scheduler.pools.drivers.command import CommandDriver
from scheduler.pools.drivers.context import DriverContext
from scheduler.pools.drivers.driver import Driver
from scheduler.pools.drivers.external import ExternalDriver
from scheduler.pools.drivers.kubernetes import KubernetesServer, PodDriver, StatefulSetDriver
from scheduler.pools.drivers.local import LocalDriver
from scheduler.pools.drivers.ssh import RemoteHost, SshDriver
from scheduler.rules.cluster.resources import Resources


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NodeAmounts(_Options):
    """The amounts of one node of a driver, in whole units (cpus, MiB, pieces)."""

    cpus: float = Field(gt=0)
    mem: float = Field(default=0, ge=0)
    disk: float = Field(default=0, ge=0)
    custom: dict[str, float] = {}

    def resources(self) -> Resources:
        """Return the amounts in thousandths."""
        return Resources.of(cpus=self.cpus, mem=self.mem, disk=self.disk, custom=self.custom)


class SshHost(_Options):
    """A host, and the number of nodes it may have."""

    address: str
    name: str | None = None
    nodes: int = Field(default=1, ge=1)


class SshOptions(_Options):
    """`kind = "ssh"`: `ssh` and `ganger` are the programs with their options, `folder` is below the login's home."""

    kind: Literal["ssh"]
    hosts: list[str | SshHost] = Field(min_length=1)
    ssh: list[str] = ["ssh"]
    ganger: list[str] = ["ganger"]
    folder: str = ".ganger/pools"
    node: NodeAmounts | None = None


class CommandOptions(_Options):
    """`kind = "command"`: the program, and how long it may take."""

    kind: Literal["command"]
    argv: list[str] = Field(min_length=1)
    within_s: float = Field(default=60.0, gt=0)
    look_every_s: float = Field(default=15.0, gt=0)
    join_within_s: float = Field(default=600.0, gt=0)
    node: NodeAmounts | None = None


class KubernetesOptions(_Options):
    """`kind = "kubernetes"`: a StatefulSet or a PodTemplate; `server` only outside of a cluster."""

    kind: Literal["kubernetes"]
    statefulset: str | None = None
    podtemplate: str | None = None
    server: str | None = None
    namespace: str = "default"
    token_file: Path | None = None
    ca_file: Path | None = None
    node: NodeAmounts | None = None


Options = Annotated[SshOptions | CommandOptions | KubernetesOptions, Field(discriminator="kind")]
BUILT_IN = ("local", "external")
_FILE = TypeAdapter(dict[str, Options])


class DriverRegistry:
    """Opens drivers by name, for one installation."""

    def __init__(self, context: DriverContext, described: Mapping[str, Options] | None = None) -> None:
        self._context, self._described = context, dict(described or {})

    @property
    def names(self) -> list[str]:
        """All drivers that a pool may name."""
        return [*BUILT_IN, *sorted(self._described)]

    def open(self, name: str, pool: str) -> Driver | None:
        """Return the driver for one pool; None if no driver has this name."""
        if name == "local":
            return LocalDriver(pool, self._context)
        if name == "external":
            return ExternalDriver()
        options = self._described.get(name)
        return None if options is None else _open(options, pool, self._context)


def read(path: Path | None) -> dict[str, Options]:
    """Return the drivers that the file describes, by name; none without a file. Raises SetupError that lists every mistake."""
    if path is None:
        return {}
    try:
        with path.open("rb") as file:
            document: dict[str, Any] = tomllib.load(file)
        described = _FILE.validate_python(document.get("driver", {}))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SetupError(f"the drivers file {path} cannot be read: {error}") from error
    except ValidationError as wrong:
        faults = "; ".join(f"driver.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in wrong.errors())
        raise SetupError(f"the drivers file {path} is wrong: {faults}") from None
    if reserved := sorted(set(described) & set(BUILT_IN)):
        raise SetupError(f"the drivers file {path} describes {reserved[0]!r}, which is built in; choose another name")
    return described


def _open(options: Options, pool: str, context: DriverContext) -> Driver:
    template = None if options.node is None else options.node.resources()
    if isinstance(options, CommandOptions):
        return CommandDriver(
            pool,
            context,
            options.argv,
            within_s=options.within_s,
            look_every_s=options.look_every_s,
            join_within_s=options.join_within_s,
            template=template,
        )
    if isinstance(options, SshOptions):
        hosts = [_host(host) for host in options.hosts]
        return SshDriver(
            pool, context, hosts, ssh=options.ssh, ganger=options.ganger, folder=options.folder, template=template
        )
    if options.server is None:
        server = KubernetesServer.of_this_pod()
    else:
        server = KubernetesServer(options.server, options.namespace, options.token_file, options.ca_file)
    if options.podtemplate is not None:
        return PodDriver(server, pool, options.podtemplate, template=template)
    return StatefulSetDriver(server, options.statefulset or "ganger-worker", template=template)


def _host(host: str | SshHost) -> RemoteHost:
    if isinstance(host, str):
        return RemoteHost(host, _stem(host))
    return RemoteHost(host.address, host.name or _stem(host.address), host.nodes)


def _stem(address: str) -> str:
    """Return the first part of the host name of `user@host.domain`; an IP address as it is."""
    host = address.rpartition("@")[2]
    return host if host.replace(".", "").isdigit() or ":" in host else host.partition(".")[0]
