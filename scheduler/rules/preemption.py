"""Which running executions to stop so that a more urgent job can start: as few and as young as will do.

Only executions that said so (`preemptible`) and are of a less urgent priority. On each node the least urgent go first, then
those that have run for the shortest time; on the whole fleet, the node where the least work is lost.
"""

from dataclasses import dataclass

import numpy as np

from scheduler.rules import filters
from scheduler.rules.ledger import Ledger
from scheduler.rules.nodes import Mask
from scheduler.rules.running import Run, Running
from scheduler.rules.scoring import Choice
from scheduler.rules.shapes import Shape


@dataclass(frozen=True, slots=True)
class Victims:
    """Executions to stop on one node row so that one member fits, and the work lost by it (share * seconds)."""

    row: int
    executions: tuple[int, ...]
    lost: float


def victims(shape: Shape, ledger: Ledger, running: Running, where: Mask, now: float) -> list[Victims]:
    """Nodes to be cleared for all members of a job, one member each, least loss first; empty when that is not possible."""
    found = []
    for row in np.flatnonzero(where).tolist():
        victim = _on_node(shape, ledger, running, row, now)
        if victim is not None:
            found.append(victim)
    found.sort(key=lambda victim: (victim.lost, victim.row))
    return found[: shape.count] if len(found) >= shape.count else []


def cleared(found: list[Victims]) -> Choice:
    """The seats that stopping the victims makes."""
    rows = np.array([victim.row for victim in found], dtype=np.intp)
    return Choice(rows, np.ones(len(rows), dtype=np.int64))


def _on_node(shape: Shape, ledger: Ledger, running: Running, row: int, now: float) -> Victims | None:
    """The least loss that makes room for one member on a node; None where even stopping all is not enough."""
    nodes = ledger.nodes
    candidates = [run for run in running.on_node(nodes.at(row).id) if _may_stop(run, shape)]
    candidates.sort(key=lambda run: (-run.priority, now - run.started, run.execution_id))
    room, chosen = ledger.free[:, row].copy(), []
    need = nodes.vector(shape.requires)
    for run in candidates:
        if (room >= need).all():
            break
        room += nodes.vector(run.resources)
        chosen.append(run)
    if (room < need).any():
        return None
    for run in list(chosen):  # the first ones may be spared when a later one made all the room
        if (room - nodes.vector(run.resources) >= need).all():
            room -= nodes.vector(run.resources)
            chosen.remove(run)
    lost = sum((now - run.started) * run.resources.dominant_share(ledger.fleet) for run in chosen)
    return Victims(row, tuple(run.execution_id for run in chosen), lost)


def _may_stop(run: Run, shape: Shape) -> bool:
    return run.preemptible and not run.stopping and run.priority > shape.priority


def could_help(shape: Shape, ledger: Ledger, where: Mask) -> Mask:
    """Rows in `where` without room kept for others, large enough for a member."""
    free_to_clear = where & filters.holds(ledger.nodes.vector(shape.requires), ledger.nodes.capacity)
    for row in ledger.kept:
        free_to_clear[row] = False
    return free_to_clear
