"""The instances of one pool as its drivers list them: which are starting, which have ended, which never registered.

A driver that fails is not called for a while, longer each time. Its error is shown to operators until it works again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from scheduler.pools.drivers.driver import Driver, DriverTrouble, Instance, NodeTemplate
from scheduler.rules.cluster.resources import Resources

T = TypeVar("T")

_FIRST_REST_S, _LONGEST_REST_S = 2.0, 60.0
_REVIVE_AGAIN_S = 5.0


@dataclass(slots=True)
class DriverShare:
    """One driver's share of the pool: at most `most` nodes (None: no limit), and the instances it listed last."""

    name: str
    driver: Driver
    most: int | None = None
    instances: dict[str, Instance] = field(default_factory=dict)
    listed_at: float | None = None
    trouble: str | None = None
    not_registered: str | None = None
    failures: int = 0
    rests_until: float = 0.0
    starts_after: float = 0.0

    def is_due(self, now: float) -> bool:
        """Tell whether the driver should be asked for its list again."""
        return self.listed_at is None or now - self.listed_at >= self.driver.look_every_s


class PoolInstances:
    """The shares of one pool. Times are the caller's monotonic seconds. Not for use by two threads."""

    def __init__(self, shares: Sequence[DriverShare], unknown: Sequence[str] = ()) -> None:
        self.shares, self._unknown = list(shares), list(unknown)
        self._started_at: dict[str, float] = {}
        self._awaited: set[str] = set()
        self._revived: dict[str, float] = {}
        self.silent: set[str] = set()
        """Nodes that were silent when the drivers were last asked about them."""

    @property
    def starts(self) -> bool:
        """Whether any driver can start nodes."""
        return any(share.driver.starts for share in self.shares)

    @property
    def picks(self) -> bool:
        """Whether any node can be chosen to leave; otherwise only the newest can, or none at all."""
        return all(share.driver.picks for share in self.shares if share.driver.starts) and self.starts

    @property
    def trouble(self) -> str | None:
        """The present errors of drivers, a sentence each."""
        said = [f"{p.name}: {p.trouble or p.not_registered}" for p in self.shares if p.trouble or p.not_registered]
        said += [f"there is no driver {name!r}: see GANGER_DRIVERS_FILE of the scheduler" for name in self._unknown]
        return "; ".join(said) or None

    @property
    def sure(self) -> bool:
        """Whether every driver has answered, so that an instance which is not listed is really gone."""
        return all(share.trouble is None and share.listed_at is not None for share in self.shares)

    def refresh(self, now: float, here: Collection[str], *, anew: bool = False) -> None:
        """Ask each driver that is due (with `anew` all of them) for its list; `here` are the names that have registered."""
        for share in self.shares:
            if anew or share.is_due(now):
                self._list(share, now)
        for share in self.shares:
            if self._awaited & share.instances.keys() & set(here):
                share.failures, share.not_registered = 0, None
        self._awaited -= set(here)
        known = self.names()
        self._started_at = {name: self._started_at.get(name, now) for name in known if name not in here}
        self._revived = {name: at for name, at in self._revived.items() if name in known}

    def names(self) -> list[str]:
        """Return the names of all instances, in the order of their drivers."""
        return [name for share in self.shares for name in share.instances]

    def starting(self, now: float) -> list[str]:
        """Return instances that run, have not registered, and still have time to do so."""
        return [
            name
            for name, share in self._unregistered()
            if share.instances[name].running and not self._late(name, share, now)
        ]

    def failed(self, now: float) -> list[str]:
        """Return instances that will not register any more: they ended before, or their time is over."""
        return [
            name
            for name, share in self._unregistered()
            if not share.instances[name].running or self._late(name, share, now)
        ]

    def dead(self, now: float) -> list[str]:
        """Return instances whose process has ended and that were not revived just now."""
        return [
            name
            for share in self.shares
            for name, instance in share.instances.items()
            if not instance.running and now - self._revived.get(name, -_REVIVE_AGAIN_S) >= _REVIVE_AGAIN_S
        ]

    def start(self, count: int, template: NodeTemplate, now: float) -> list[str]:
        """Start nodes where there is room, driver by driver; return the names that are known by now."""
        started: list[str] = []
        for share in self.shares:
            room = count if share.most is None else min(count, share.most - len(share.instances))
            if room <= 0 or not share.driver.starts or now < max(share.rests_until, share.starts_after):
                continue
            names = self._ask(share, now, partial(share.driver.start, room, template))
            share.listed_at = None  # the list is read again at once, for names that come later
            for name in names or ():
                share.instances[name] = Instance(name)
                self._started_at[name] = now
                self._awaited.add(name)
            started += names or ()
            count -= room if names is not None else 0
        return started

    def revive(self, names: Iterable[str], template: NodeTemplate, now: float) -> list[str]:
        """Start instances again that ended although their nodes had not left; return the names for which the driver did not fail."""
        revived = self._by_share(names, now, lambda share, mine: share.driver.revive(mine, template))
        for name in revived:
            self._revived[name] = now
        return revived

    def give_up(self, names: Iterable[str], now: float) -> str | None:
        """Give up waiting for instances that were started here and never registered; their drivers pause before the next start.

        Returns why, in a sentence for people; None if all of these names had registered once.
        """
        lost = set(names) & self._awaited
        self._awaited -= lost
        for share in self.shares:
            mine = [name for name in share.instances if name in lost]
            if mine:
                ended = not share.instances[mine[0]].running
                what = (
                    "ended before it registered" if ended else f"did not register in {share.driver.join_within_s:g} s"
                )
                share.not_registered = f"{mine[0]} {what}; its log says why"
                share.starts_after = now + _pause_s(share)
                share.failures += 1
        return self.trouble if lost else None

    def clear(self, names: Iterable[str], now: float) -> list[str]:
        """Remove instances; return the names for which the driver did not fail."""
        cleared = self._by_share(names, now, lambda share, mine: share.driver.retire(mine))
        for share in self.shares:
            share.instances = {name: seen for name, seen in share.instances.items() if name not in cleared}
        return cleared

    def template(self) -> Resources | None:
        """Return the amounts of a new node, if a driver knows them."""
        known = (share.driver.template() for share in self.shares if share.driver.starts)
        return next((amounts for amounts in known if amounts is not None), None)

    def _list(self, share: DriverShare, now: float) -> None:
        listed = self._ask(share, now, share.driver.listing) if now >= share.rests_until else None
        if listed is not None:
            share.listed_at, share.trouble = now, listed.trouble
            seen = {instance.name: instance for instance in listed.instances}
            share.instances = seen if listed.trouble is None else share.instances | seen

    def _unregistered(self) -> list[tuple[str, DriverShare]]:
        return [(name, share) for share in self.shares for name in share.instances if name in self._started_at]

    def _late(self, name: str, share: DriverShare, now: float) -> bool:
        return now - self._started_at[name] > share.driver.join_within_s

    def _by_share(self, names: Iterable[str], now: float, do: Callable[[DriverShare, list[str]], None]) -> list[str]:
        wanted, done = set(names), []
        for share in self.shares:
            mine = [name for name in share.instances if name in wanted]
            if mine and now >= share.rests_until and self._ask(share, now, partial(_done, do, share, mine)):
                done += mine
                share.listed_at = None
        return done

    def _ask(self, share: DriverShare, now: float, call: Callable[[], T]) -> T | None:
        try:
            answer = call()
        except DriverTrouble as trouble:
            share.trouble = str(trouble)
            share.rests_until = now + _pause_s(share)
            share.failures += 1
            return None
        return answer


def _pause_s(share: DriverShare) -> float:
    return min(_FIRST_REST_S * float(2 ** min(share.failures, 10)), _LONGEST_REST_S)


def _done(do: Callable[[DriverShare, list[str]], None], share: DriverShare, names: list[str]) -> bool:
    do(share, names)
    return True
