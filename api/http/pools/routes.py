"""Pools: named sets of nodes that are scaled together."""

from __future__ import annotations

from typing import cast

from api.http import paging
from api.http.answers import Answer
from api.http.auth import permit_everywhere
from api.http.links import public
from api.http.paging import PageQuery
from api.http.pools import view
from api.http.pools.schema import (
    NodeTemplateBody,
    PoolBody,
    PoolChange,
    PoolEventList,
    PoolList,
    PoolView,
    PoolWanted,
)
from api.http.routing import ApiCall, Routes
from api.http.schema.fields import given
from scheduler.errors import InvalidInput
from scheduler.identity import Role
from scheduler.pools import pools
from scheduler.store.nodes.pool_rows import PoolChanges

routes = Routes("pools")


@routes.get("/pools/", role=Role.VIEWER, answers={200: PoolList})
def list_pools(call: ApiCall, query: PageQuery) -> PoolList:
    """Pools by name: the size that each should have, the nodes that it has, and why."""
    return paging.part(query, [view.entry(seen) for seen in pools.list_pools(call.rt)])


@routes.post("/pools/", role=Role.OPERATOR, answers={201: PoolView})
def create_pool(call: ApiCall, body: PoolBody) -> Answer[PoolView]:
    """Make a pool. Pools that nodes join by name need not be made."""
    permit_everywhere(call.caller)
    pools.create(call.rt, body.name, _columns(body), actor=call.caller.name, reason=body.reason)
    made = view.entry(pools.get(call.rt, body.name))
    return Answer(made, 201, {"Location": public.url(f"/pools/{body.name}/")})


@routes.get("/pools/<name>/", role=Role.VIEWER, answers={200: PoolView})
def show_pool(call: ApiCall, name: str) -> PoolView:
    """One pool."""
    return view.entry(pools.get(call.rt, name))


@routes.patch("/pools/<name>/", role=Role.OPERATOR, answers={200: PoolView})
def change_pool(call: ApiCall, name: str, body: PoolChange) -> PoolView:
    """Size a pool, let it follow demand, pause or resume it, or change how its nodes are made."""
    permit_everywhere(call.caller)
    columns = _columns(body)
    if not columns:
        raise InvalidInput("nothing to change is named")
    pools.change(call.rt, name, columns, actor=call.caller.name, reason=body.reason)
    return view.entry(pools.get(call.rt, name))


@routes.get("/pools/<name>/events/", role=Role.VIEWER, answers={200: PoolEventList})
def list_pool_events(call: ApiCall, name: str, query: PageQuery) -> PoolEventList:
    """The events of a pool, newest first: decisions, starts, drains, changes, trouble."""
    asked = paging.window(query, ("id",), ["-id"])
    return paging.envelope(pools.events(call.rt, name, asked), asked, view.event)


@routes.get("/pools/<name>/wanted/", role=Role.VIEWER, answers={200: PoolWanted})
def show_wanted(call: ApiCall, name: str) -> PoolWanted:
    """The size a pool should have, as plain numbers for a scaler outside (KEDA's metrics-api reads `wanted`)."""
    return view.wanted(pools.get(call.rt, name))


def _columns(body: PoolChange) -> PoolChanges:
    """Return what a body changes, by the names the scheduler knows it under; amounts are in thousandths."""
    asked = given(body)
    names = {"min": "smallest", "max": "largest"}
    columns = {
        names.get(key, key): asked[key]
        for key in ("size", "min", "max", "sizing", "labels", "is_paused")
        if key in asked
    }
    if body.is_paused:
        columns["pause_reason"] = body.reason or "paused by hand"
    if "drivers" in asked:
        columns["drivers"] = [share.model_dump(exclude_none=True) for share in body.drivers]
    if "settings" in asked:
        columns["settings"] = given(body.settings)
    if "template" in asked:
        columns["template"] = _amounts(body.template)
    return cast("PoolChanges", columns)


def _amounts(template: NodeTemplateBody | None) -> dict[str, int] | None:
    if template is None:
        return None
    return {"cpus": template.cpus, "mem": template.mem, "disk": template.disk, **template.resources}
