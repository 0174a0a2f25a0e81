"""The limit on reservations: how many there may be among the nodes of the kind that a job asks for."""

from dataclasses import dataclass

from scheduler.rules.cluster.nodes import Mask

_NODES_PER_RESERVATION = 32
"""At most one reservation is made for so many nodes, one at least: the room kept idle stays under 3 % of a large fleet."""

_MOST_RESERVATIONS = 16
"""Reservations among all sets of nodes, unless the setting says more: looking for each takes time."""


@dataclass(slots=True)
class _NodeSet:
    """Nodes of a kind that some jobs ask for, and the reservations that count there."""

    where: Mask
    size: int
    reserved: int = 0


class ReservationLimit:
    """The reservations of one plan, counted for every set of nodes that is asked about; `setting` bounds each count.

    A reservation counts for a set if half of these nodes are of the kind that it is made for: one that waits for the only
    node of its kind is in nobody's way. Size makes no kind, or every size of job would have a reservation on a small fleet.
    """

    def __init__(self, setting: int) -> None:
        self._setting = setting
        self._reserved: list[Mask] = []
        self._sets: dict[bytes, _NodeSet] = {}
        self._by_mask: dict[int, tuple[Mask, _NodeSet]] = {}

    def reached(self, where: Mask) -> bool:
        """Whether as many are kept as may be for a job that asks for the nodes in `where`."""
        nodes = self._node_set(where)
        most = min(self._setting, max(1, nodes.size // _NODES_PER_RESERVATION))
        return nodes.reserved >= most or len(self._reserved) >= max(_MOST_RESERVATIONS, self._setting)

    def add(self, where: Mask) -> None:
        """A reservation is made for a job that asks for the nodes in `where`."""
        self._reserved.append(where)
        for nodes in self._sets.values():
            nodes.reserved += _counts(where, nodes)

    def _node_set(self, where: Mask) -> _NodeSet:
        found = self._by_mask.get(id(where))
        if found is None:  # masks are remembered while nodes stay as they are, so few have to be compared as a whole
            nodes = self._sets.get(where.tobytes())
            if nodes is None:
                nodes = self._sets[where.tobytes()] = _NodeSet(where, int(where.sum()))
                nodes.reserved = sum(_counts(reserved, nodes) for reserved in self._reserved)
            found = self._by_mask[id(where)] = (where, nodes)
        return found[1]


def _counts(reserved: Mask, nodes: _NodeSet) -> bool:
    return 2 * int((reserved & nodes.where).sum()) >= nodes.size
