"""One pool's nodes as its drivers see them: who is on the way, who has ended, who never came.

A driver that fails is left alone for a while, longer each time; what it said is shown to operators until it works again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from scheduler.pools.drivers import Driver, DriverTrouble, Instance, NodeTemplate
from scheduler.rules.cluster.resources import Resources

T = TypeVar("T")

_FIRST_REST_S, _LONGEST_REST_S = 2.0, 60.0
_REVIVE_AGAIN_S = 5.0


@dataclass(slots=True)
class DriverShare:
    """One driver's share of the pool: at most `most` nodes (None: no limit), and what was last seen of them."""

    name: str
    driver: Driver
    most: int | None = None
    instances: dict[str, Instance] = field(default_factory=dict)
    looked: float | None = None
    trouble: str | None = None
    unjoined: str | None = None
    failures: int = 0
    rests_until: float = 0.0
    starts_after: float = 0.0


class PoolInstances:
    """The parties of one pool. Times are the caller's monotonic seconds. Not for use by two threads."""

    def __init__(self, parties: Sequence[DriverShare], unknown: Sequence[str] = ()) -> None:
        self.parties, self._unknown = list(parties), list(unknown)
        self._born: dict[str, float] = {}
        self._awaited: set[str] = set()
        self._revived: dict[str, float] = {}
        self.silent: set[str] = set()
        """Nodes whose beats had stopped when the drivers were last asked about them."""

    @property
    def starts(self) -> bool:
        """Whether anybody can be asked for nodes."""
        return any(party.driver.starts for party in self.parties)

    @property
    def picks(self) -> bool:
        """Whether any node can be chosen to go; else only the newest can, or none at all."""
        return all(party.driver.picks for party in self.parties if party.driver.starts) and self.starts

    @property
    def trouble(self) -> str | None:
        """What is wrong with drivers just now, in a sentence each."""
        said = [f"{p.name}: {p.trouble or p.unjoined}" for p in self.parties if p.trouble or p.unjoined]
        said += [f"there is no driver {name!r}: see GANGER_DRIVERS_FILE of the scheduler" for name in self._unknown]
        return "; ".join(said) or None

    @property
    def sure(self) -> bool:
        """Whether an instance that is not listed is really gone."""
        return all(party.trouble is None and party.looked is not None for party in self.parties)

    def look(self, now: float, here: Collection[str], *, anew: bool = False) -> None:
        """Ask each driver that is due (or all, `anew`) what it has; `here` are the names that have registered."""
        for party in self.parties:
            if (
                anew or party.looked is None or now - party.looked >= party.driver.look_every_s
            ) and now >= party.rests_until:
                listed = self._ask(party, now, party.driver.listing)
                if listed is not None:
                    party.looked, party.trouble = now, listed.trouble
                    seen = {instance.name: instance for instance in listed.instances}
                    party.instances = seen if listed.trouble is None else party.instances | seen
        for party in self.parties:
            if self._awaited & party.instances.keys() & set(here):
                party.failures, party.unjoined = 0, None
        self._awaited -= set(here)
        known = self.names()
        self._born = {name: self._born.get(name, now) for name in known if name not in here}
        self._revived = {name: at for name, at in self._revived.items() if name in known}

    def names(self) -> list[str]:
        """Return all instances, in the order of their drivers."""
        return [name for party in self.parties for name in party.instances]

    def starting(self, now: float) -> list[str]:
        """Return those that run, have not registered, and still may."""
        return [
            name for name, party in self._unborn() if party.instances[name].running and not self._late(name, party, now)
        ]

    def failed(self, now: float) -> list[str]:
        """Return those that have not registered and never will: they ended before, or their time is over."""
        return [
            name for name, party in self._unborn() if not party.instances[name].running or self._late(name, party, now)
        ]

    def dead(self, now: float) -> list[str]:
        """Return instances whose process has ended and who were not revived just now."""
        return [
            name
            for party in self.parties
            for name, instance in party.instances.items()
            if not instance.running and now - self._revived.get(name, -_REVIVE_AGAIN_S) >= _REVIVE_AGAIN_S
        ]

    def start(self, count: int, template: NodeTemplate, now: float) -> list[str]:
        """Start nodes where there is room, party by party; return the names known by now."""
        started: list[str] = []
        for party in self.parties:
            room = count if party.most is None else min(count, party.most - len(party.instances))
            if room <= 0 or not party.driver.starts or now < max(party.rests_until, party.starts_after):
                continue
            names = self._ask(party, now, partial(party.driver.start, room, template))
            party.looked = None  # what it names only now is asked for at once
            for name in names or ():
                party.instances[name] = Instance(name)
                self._born[name] = now
                self._awaited.add(name)
            started += names or ()
            count -= room if names is not None else 0
        return started

    def revive(self, names: Iterable[str], template: NodeTemplate, now: float) -> list[str]:
        """Start again instances that ended without having left; return those of drivers that did not fail."""
        revived = self._by_party(names, now, lambda party, mine: party.driver.revive(mine, template))
        for name in revived:
            self._revived[name] = now
        return revived

    def give_up(self, names: Iterable[str], now: float) -> str | None:
        """Note that those of these that we started never came; their drivers start no others for a while.

        Return why, in a sentence for people; None when all of them had come once.
        """
        lost = set(names) & self._awaited
        self._awaited -= lost
        for party in self.parties:
            mine = [name for name in party.instances if name in lost]
            if mine:
                ended = not party.instances[mine[0]].running
                what = (
                    "ended before it registered" if ended else f"did not register in {party.driver.join_within_s:g} s"
                )
                party.unjoined = f"{mine[0]} {what}; its log says why"
                party.starts_after = now + _pause_s(party)
                party.failures += 1
        return self.trouble if lost else None

    def clear(self, names: Iterable[str], now: float) -> list[str]:
        """Clear away instances; return those of drivers that did not fail."""
        cleared = self._by_party(names, now, lambda party, mine: party.driver.retire(mine))
        for party in self.parties:
            party.instances = {name: seen for name, seen in party.instances.items() if name not in cleared}
        return cleared

    def template(self) -> Resources | None:
        """Return what a new node has, as far as a driver knows it."""
        known = (party.driver.template() for party in self.parties if party.driver.starts)
        return next((amounts for amounts in known if amounts is not None), None)

    def _unborn(self) -> list[tuple[str, DriverShare]]:
        return [(name, party) for party in self.parties for name in party.instances if name in self._born]

    def _late(self, name: str, party: DriverShare, now: float) -> bool:
        return now - self._born[name] > party.driver.join_within_s

    def _by_party(self, names: Iterable[str], now: float, do: Callable[[DriverShare, list[str]], None]) -> list[str]:
        wanted, done = set(names), []
        for party in self.parties:
            mine = [name for name in party.instances if name in wanted]
            if mine and now >= party.rests_until and self._ask(party, now, partial(_done, do, party, mine)):
                done += mine
                party.looked = None
        return done

    def _ask(self, party: DriverShare, now: float, call: Callable[[], T]) -> T | None:
        try:
            answer = call()
        except DriverTrouble as trouble:
            party.trouble = str(trouble)
            party.rests_until = now + _pause_s(party)
            party.failures += 1
            return None
        return answer


def _pause_s(party: DriverShare) -> float:
    return min(_FIRST_REST_S * float(2 ** min(party.failures, 10)), _LONGEST_REST_S)


def _done(do: Callable[[DriverShare, list[str]], None], party: DriverShare, names: list[str]) -> bool:
    do(party, names)
    return True
