"""The end of `ganger up`: everything that was started ends in the order in which nothing is lost, and nothing stays.

The scheduler ends first, so that nothing is placed and no node is started any more. Then all nodes of this machine, those
of pools too, hand their work back to the API, which still answers. The API, what they left behind, and the servers follow.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from api.up import roles
from api.up.embedded import child_process, processes, stop_signals
from api.up.embedded.child_process import ChildProcess
from api.up.embedded.processes import ProcessIdentity
from api.up.embedded.servers import ServerSet
from api.up.embedded.state import StateFolder
from scheduler.pools.drivers import local

# Left-over processes get this long between SIGTERM and SIGKILL: a supervisor ends its jobs within it.
LEFTOVER_WITHIN_S = 15.0
# One that is ended may have started another one meanwhile.
LEFTOVER_ROUNDS = 4


def end_all(folder: StateFolder, running: Sequence[ChildProcess], servers: ServerSet | None) -> None:
    """End the scheduler, the nodes, the API, what they left behind, and the servers, the database last."""
    ours = servers.servers if servers else ()
    at_the_end = {id(server.process) for server in ours}
    leaving = [process for process in running if id(process) not in at_the_end]
    nodes = [process for process in leaving if process.spec.name.startswith(roles.WORKER)]
    schedulers = [process for process in leaving if process.spec.name == roles.SCHEDULER]
    _stop(schedulers)
    _stop_nodes(folder, nodes)
    _stop([process for process in leaving if process not in nodes + schedulers])
    _end_marked(folder, spared={server.process.pid for server in ours if server.process.pid is not None})
    if servers is not None:
        servers.stop()


def _stop(running: Sequence[ChildProcess]) -> None:
    for process in running:
        process.request_stop()
    for process in running:
        process.stop()


def _stop_nodes(folder: StateFolder, nodes: Sequence[ChildProcess]) -> None:
    """End the nodes of `ganger up` and, at the same time, those that the scheduler started for pools."""
    for node in nodes:
        node.request_stop()
    of_pools = [identity for pid in local.agents(folder.root) if (identity := processes.identify(pid)) is not None]
    child_process.end(of_pools, signal.SIGTERM, roles.WORKER_STOP_WITHIN_S)
    _stop(nodes)


def _end_marked(folder: StateFolder, spared: set[int]) -> None:
    """End supervisors and whatever else carries our mark or descends from us, but for the servers and what is theirs."""
    for _ in range(LEFTOVER_ROUNDS):
        left = _marked(folder, spared)
        if not left:
            break
        child_process.end(left, signal.SIGTERM, LEFTOVER_WITHIN_S)
    stop_signals.reap_orphans(known=spared)


def _marked(folder: StateFolder, spared: set[int]) -> list[ProcessIdentity]:
    theirs = {process.pid for server in spared for process in processes.descendants_of(server)} | spared
    marked = {
        *processes.with_variable(f"{child_process.MARK}={folder.root}"),
        *processes.descendants_of(os.getpid(), without=spared),
    }
    return [process for process in marked if process.pid not in theirs]
