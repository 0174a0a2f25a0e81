"""Amounts of cpus, mem, disk and named custom resources, as exact integers.

Every amount counts thousandths of its unit (cpu, MiB, piece): 1 cpu is 1000, 64 MiB is 64000. Integers add up without
error, so when a thousand jobs have come and gone, exactly as much is free as before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Self, TypeAlias

Amount: TypeAlias = int | str | Decimal | float

THOUSANDTHS = 1000
"""Parts of a unit: fine enough for 0.001 cpu, exact enough for sums (a petabyte of disk is 10^12 of them)."""

PLAIN = ("cpus", "mem", "disk")
"""The resources that every node has, in the order of their columns."""


@dataclass(frozen=True, slots=True)
class Resources:
    """An amount of each resource, in thousandths; 0 where not named. `custom` is sorted by name, without zeros."""

    cpus: int = 0
    mem: int = 0
    disk: int = 0
    custom: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(
        cls,
        *,
        cpus: Amount = 0,
        mem: Amount = 0,
        disk: Amount = 0,
        custom: Mapping[str, Amount] | None = None,
    ) -> Self:
        """Return amounts given in whole *units* (cpus, MiB, pieces): `of(cpus="0.5", mem=64)`.

        They are rounded up to a thousandth. Raises ValueError for an amount that is negative, not finite or no
        number, and for a custom resource with the name of a plain one.
        """
        for name in PLAIN:
            if name in (custom or {}):
                raise ValueError(f"{name} is not a custom resource")
        named = ((name, thousandths(amount)) for name, amount in (custom or {}).items())
        return cls(thousandths(cpus), thousandths(mem), thousandths(disk), _tidy(dict(named)))

    @classmethod
    def from_amounts(cls, amounts: Mapping[str, int]) -> Self:
        """Return amounts from thousandths by resource name, as `amounts()` gives them."""
        custom = {name: amount for name, amount in amounts.items() if name not in PLAIN}
        return cls(amounts.get("cpus", 0), amounts.get("mem", 0), amounts.get("disk", 0), _tidy(custom))

    def amounts(self) -> dict[str, int]:
        """Return thousandths by resource name: always for cpus, mem and disk; for custom ones where not 0."""
        plain = {"cpus": self.cpus, "mem": self.mem, "disk": self.disk}
        return {
            **plain,
            **dict(self.custom),
            **plain,
        }  # again, so that no custom resource of such a name can hide a plain one

    def add(self, other: "Resources") -> "Resources":
        """Return both together."""
        custom = dict(self.custom)
        for name, amount in other.custom:
            custom[name] = custom.get(name, 0) + amount
        return Resources(self.cpus + other.cpus, self.mem + other.mem, self.disk + other.disk, _tidy(custom))

    def subtract(self, other: "Resources") -> "Resources":
        """Return this without `other`; negative where `other` has more."""
        return self.add(other.times(-1))

    def times(self, count: int) -> "Resources":
        """Return `count` times these amounts."""
        custom = tuple((name, amount * count) for name, amount in self.custom if count)
        return Resources(self.cpus * count, self.mem * count, self.disk * count, custom)

    def fits(self, room: "Resources") -> bool:
        """Return whether `room` holds all of this."""
        return not self.shortage(room)

    def shortage(self, room: "Resources") -> dict[str, int]:
        """Return what `room` lacks to hold this: thousandths by name, only where something is missing."""
        there = dict(room.custom)
        plain = {"cpus": self.cpus - room.cpus, "mem": self.mem - room.mem, "disk": self.disk - room.disk}
        custom = {name: amount - there.get(name, 0) for name, amount in self.custom}
        lacking = {**plain, **custom, **plain}
        return {name: amount for name, amount in lacking.items() if amount > 0}

    def dominant_share(self, total: "Resources") -> float:
        """Return the largest fraction of `total` that this takes, over all resources.

        A resource of which `total` has nothing does not count.
        """
        whole = total.amounts()
        shares = (amount / whole[name] for name, amount in self.amounts().items() if whole.get(name, 0) > 0)
        return max(0.0, max(shares, default=0.0))


NOTHING = Resources()


def thousandths(amount: Amount) -> int:
    """Return `amount` units as thousandths, rounded up; raises ValueError when negative, not finite or no number."""
    try:
        exact = Decimal(str(amount))
    except ArithmeticError as error:
        raise ValueError(f"{amount!r} is not a number") from error
    if not exact.is_finite() or exact < 0:
        raise ValueError(f"{amount!r} is not an amount of a resource")
    return ceil(exact * THOUSANDTHS)


def _tidy(custom: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((name, amount) for name, amount in custom.items() if amount))
