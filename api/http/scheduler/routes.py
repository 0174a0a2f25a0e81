"""The scheduler: pause it, choose its queue mode, preemption and reservations, see whether it is alive."""

from __future__ import annotations

from api.http.auth import permit_everywhere
from api.http.routing import ApiCall, Routes
from api.http.scheduler import view
from api.http.scheduler.schema import SchedulerChange, SchedulerView
from api.http.schema.fields import changes
from scheduler.admin import switches
from scheduler.errors import InvalidInput
from scheduler.identity import Role
from scheduler.store.leader.lease import SchedulerSwitchChanges

routes = Routes("scheduler")


@routes.get("/scheduler/", role=Role.VIEWER, answers={200: SchedulerView})
def show_scheduler(call: ApiCall) -> SchedulerView:
    """The switches of the scheduler, its leader, and the age of the leader's last sign of life."""
    return view.entry(call.rt, switches.read(call.rt), everywhere=call.caller.project_id is None)


@routes.patch("/scheduler/", role=Role.OPERATOR, answers={200: SchedulerView})
def change_scheduler(call: ApiCall, body: SchedulerChange) -> SchedulerView:
    """Pause the scheduler or let it go on; choose which end of the queue goes first, preemption, how many reservations there are.

    What runs is left alone, but with `preemption` it may be stopped for others.
    """
    permit_everywhere(call.caller)
    facts = changes(body, SchedulerSwitchChanges)
    if not facts:
        raise InvalidInput("the body changes nothing")
    switches.change(call.rt, call.caller, facts)
    return show_scheduler(call)
