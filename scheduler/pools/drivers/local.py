"""The local driver: nodes on the scheduler's own machine are `ganger worker` processes.

Each node has its own name, folder and token. Nodes outlive the scheduler: each has a record in the state folder, by which
the next scheduler finds it again. The record is written before the process starts and again after, so that a crash in
between leaves a record without a process, never a process without a record.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import orjson
import psutil

from scheduler.pools.drivers import node_arguments, processes
from scheduler.pools.drivers.context import DriverContext
from scheduler.pools.drivers.driver import DriverTrouble, Instance, InstanceList, NodeTemplate
from scheduler.rules.cluster.resources import Resources

MARK = "GANGER_NODE_OF"
"""This variable, whose value is the node's folder, is in the environment of every process that a local node starts."""

_MIB = 1024 * 1024
_STOP_WITHIN_S = 15.0
_KILLED_WITHIN_S = 5.0
_LOOKS = 5
"""So often the processes of a node that is cleared away are looked for, until none is left."""
_COMMAND = [sys.executable, "-P", "-m", "ganger", "worker"]
"""The command that an operator would type, by module name, because `ganger` need not be on the scheduler's PATH."""


class LocalDriver:
    """The nodes of one pool on this machine."""

    starts = True
    picks = True
    look_every_s = 0.5
    join_within_s = 60.0

    def __init__(self, pool: str, context: DriverContext, command: Sequence[str] = _COMMAND) -> None:
        self._pool, self._context, self._command = pool, context, list(command)

    def start(self, count: int, template: NodeTemplate) -> list[str]:
        """Start processes under names that no other node has."""
        taken = self._context.taken() | {record.name for record in self._all_records()}
        fresh = node_arguments.fresh_names(f"{socket.gethostname().partition('.')[0]}-{self._pool}", taken, count)
        for name in fresh:
            self._launch(name, template)
        return fresh

    def retire(self, names: Sequence[str]) -> None:
        """End all processes of these nodes, and remove their folders, records and tokens."""
        known = [name for name in names if self._record(name).exists()]
        for _ in range(_LOOKS):  # one that ends may have started another since we looked
            left = [
                p for name in known for p in processes.belonging(f"{MARK}={self._folder(name)}", self._folder(name))
            ]
            left += [p for name in known if (p := processes.process_of(self._identity(name))) is not None]
            if not left:
                break
            processes.end({p.pid: p for p in left}.values(), _STOP_WITHIN_S)
        for name in known:
            self._context.drop_token(name)
            shutil.rmtree(self._folder(name), ignore_errors=True)
            self._log(name).unlink(missing_ok=True)
            self._record(name).unlink(missing_ok=True)

    def revive(self, names: Sequence[str], template: NodeTemplate) -> None:
        """Start the agent again on the same folder: it takes over the executions that its supervisor kept running."""
        for name in names:
            if self._record(name).exists() and not processes.running(self._identity(name)):
                self._launch(name, template)

    def listing(self) -> InstanceList:
        """Return the nodes that have a record."""
        found = sorted(record.name for record in self._records().iterdir() if not record.name.startswith("."))
        return InstanceList(tuple(Instance(name, self._serves(name)) for name in found))

    def template(self) -> Resources:
        """Return one cpu's share of this machine."""
        share = max(len(os.sched_getaffinity(0)), 1)
        memory = psutil.virtual_memory().total // _MIB // share
        disk = shutil.disk_usage(self._context.need_folder()).total // _MIB // share
        return Resources.of(cpus=1, mem=max(memory * 3 // 4, 64), disk=max(disk // 4, 64))

    def _launch(self, name: str, template: NodeTemplate) -> None:
        folder, record = self._folder(name), self._record(name)
        amounts = self.template() if template.amounts is None else template.amounts
        words = node_arguments.options(name, NodeTemplate(template.pool, amounts, template.labels))
        _write(record, "", self._context.need_api())
        try:
            token = self._context.token_for(name)
            identity = processes.launch(
                [*self._command, *words, "--node-dir", str(folder)], self._environment(folder, token), self._log(name)
            )
        except OSError as error:
            raise DriverTrouble(f"a node cannot be started on this machine: {error}") from error
        _write(record, identity, self._context.need_api())

    def _environment(self, folder: Path, token: Path) -> dict[str, str]:
        """Return our own environment without the address of the database, which nodes never get."""
        kept = {name: value for name, value in os.environ.items() if name != "GANGER_DATABASE_URL"}
        broker = self._context.broker_url
        return {
            **kept,
            MARK: str(folder),
            "GANGER_STATE_DIR": str(self._context.need_folder()),
            "GANGER_API_URL": self._context.need_api(),
            "GANGER_NODE_TOKEN_FILE": str(token),
            **({"GANGER_BROKER_URL": broker} if broker else {}),
        }

    def _records(self) -> Path:
        folder = self._context.need_folder() / "pools" / self._pool
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def _all_records(self) -> list[Path]:
        return list(self._records().parent.glob("*/[!.]*"))

    def _record(self, name: str) -> Path:
        return self._records() / name

    def _identity(self, name: str) -> str:
        return _read(self._record(name))["process"]

    def _serves(self, name: str) -> bool:
        """Tell whether the agent runs and uses our present API address. An agent with another address is killed; its jobs go on."""
        record = _read(self._record(name))
        process = processes.process_of(record["process"])
        if process is None:
            return False
        if record["api_url"] == self._context.need_api():
            return True
        with suppress(psutil.Error):
            process.kill()
            process.wait(_KILLED_WITHIN_S)
        return False

    def _folder(self, name: str) -> Path:
        return self._context.need_folder() / "nodes" / name

    def _log(self, name: str) -> Path:
        return self._context.need_folder() / "logs" / f"worker-{name}.log"


def agents(state_folder: Path) -> list[int]:
    """Return the process ids of the agents that run on this machine for the pools of this state folder."""
    records = (state_folder / "pools").glob("*/[!.]*")
    found = [processes.process_of(_read(record)["process"]) for record in records]
    return [process.pid for process in found if process is not None]


def _read(record: Path) -> dict[str, str]:
    with suppress(FileNotFoundError, orjson.JSONDecodeError):
        return {"process": "", "api_url": "", **orjson.loads(record.read_bytes())}
    return {"process": "", "api_url": ""}


def _write(record: Path, process: str, api_url: str) -> None:
    beside = record.with_name(f"..{record.name}")
    beside.write_bytes(orjson.dumps({"process": process, "api_url": api_url}))
    beside.replace(record)
