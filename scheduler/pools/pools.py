"""Pools, as operators see and change them: sizes, pauses, settings. Every change is recorded with its actor and reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from scheduler.documents import PoolSettingsDocument
from scheduler.errors import Conflict, InvalidInput, NotFound
from scheduler.rules.autoscaling.sizing import PoolSizing
from scheduler.runtime import Runtime
from scheduler.store import paging
from scheduler.store.admin import audit
from scheduler.store.nodes import pools
from scheduler.store.nodes.pool_rows import PoolChanges, PoolCounts, PoolEventRow, PoolRow
from scheduler.store.paging import PageWindow, RowCondition, RowPage


@dataclass(frozen=True, slots=True)
class PoolWithCounts:
    """A pool's row with its last decision, and the counts and amounts of its nodes (None if it has no nodes)."""

    row: PoolRow
    counts: PoolCounts | None


def list_pools(rt: Runtime) -> list[PoolWithCounts]:
    """Return every pool, by name."""
    with rt.db.begin() as tx:
        counts = pools.counts(tx)
        return [PoolWithCounts(row, counts.get(row.id)) for row in pools.read(tx)]


def get(rt: Runtime, name: str) -> PoolWithCounts:
    """Return one pool. Raises NotFound."""
    with rt.db.begin() as tx:
        row = pools.find(tx, name)
        if row is None:
            raise _unknown(name)
        return PoolWithCounts(row, pools.counts(tx).get(row.id))


def events(rt: Runtime, name: str, window: PageWindow) -> RowPage[PoolEventRow]:
    """Return one page of a pool's events. Raises NotFound for an unknown pool."""
    with rt.db.begin() as tx:
        row = pools.find(tx, name)
        if row is None:
            raise _unknown(name)
        return paging.read(tx, pools.EVENTS, RowCondition("j.pool_id = :pool_id", {"pool_id": row.id}), window)


def create(rt: Runtime, name: str, changes: PoolChanges, *, actor: str, reason: str | None = None) -> None:
    """Create a pool. Raises Conflict if its name is taken, and InvalidInput as `change` does."""
    with rt.db.begin() as tx:
        if pools.find(tx, name) is not None:
            raise Conflict(f"there is a pool {name!r} already", field="name")
        pools.create(tx, name)
        audit.write(tx, actor, "pool.create", f"pool:{name}", reason=reason)
    change(rt, name, changes, actor=actor, reason=reason)


def change(rt: Runtime, name: str, changes: PoolChanges, *, actor: str, reason: str | None = None) -> None:
    """Change a pool; only the given fields change, and `settings` key by key (None removes a key).

    A `size` makes the pool FIXED, and a `smallest` or `largest` makes it AUTO, unless `sizing` is given too. Raises
    NotFound, and InvalidInput for sizes that contradict each other.
    """
    with rt.db.begin() as tx:
        row = pools.lock(tx, name)
        if row is None:
            raise _unknown(name)
        columns = _columns(row, changes)
        pools.change(tx, row.id, columns)
        pools.write_event(tx, row.id, _event(columns), actor, reason, **columns)
        audit.write(tx, actor, f"pool.{_event(columns)}", f"pool:{name}", reason=reason, detail=columns)
    rt.nudge("scaling")
    rt.nudge("tick")


def _columns(row: PoolRow, changes: PoolChanges) -> PoolChanges:
    columns = changes.copy()
    if "settings" in changes:
        settings = {**row.settings, **changes["settings"]}
        kept = {key: value for key, value in settings.items() if value is not None}
        columns["settings"] = cast("PoolSettingsDocument", kept)
    if "sizing" not in columns:
        if "size" in columns:
            columns["sizing"] = PoolSizing.FIXED
        elif {"smallest", "largest"} & columns.keys():
            columns["sizing"] = PoolSizing.AUTO
    if columns.get("is_paused") is False:
        columns["pause_reason"] = None
    _check(
        columns.get("sizing", row.sizing),
        columns.get("smallest", row.smallest),
        columns.get("largest", row.largest),
    )
    return columns


def _check(sizing: str, smallest: int, largest: int | None) -> None:
    if largest is not None and smallest > largest:
        raise InvalidInput(f"the smallest size, {smallest}, is above the largest, {largest}", field="min")
    if sizing == PoolSizing.AUTO and largest is None:
        raise InvalidInput("a pool that follows demand needs a largest size", field="max")


def _event(columns: PoolChanges) -> str:
    if "is_paused" in columns:
        return "pause" if columns["is_paused"] else "resume"
    return "change"


def _unknown(name: str) -> NotFound:
    return NotFound(f"there is no pool {name!r}")
