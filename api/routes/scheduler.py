"""The scheduler: pause it, choose its queue mode, see whether it is alive."""

from __future__ import annotations

from typing import Any

from api.auth import permit_everywhere
from api.routing import Call, Routes
from api.views import scheduler as view
from api.wire.fields import given
from api.wire.scheduler import SchedulerChange, SchedulerView
from scheduler import steering
from scheduler.errors import InvalidInput
from scheduler.tokens import Role

routes = Routes("scheduler")


@routes.get("/scheduler/", role=Role.VIEWER, answers={200: SchedulerView})
def show_scheduler(call: Call) -> Any:
    """What is set of the scheduler, who leads, and since when nothing was heard of it."""
    standing = steering.look(call.rt)
    return view.entry(standing, steering.state(call.rt, standing), everywhere=call.caller.project_id is None)


@routes.patch("/scheduler/", role=Role.OPERATOR, answers={200: SchedulerView})
def change_scheduler(call: Call, body: SchedulerChange) -> Any:
    """Pause the scheduler or let it go on, or choose which end of the queue goes first; what runs is left alone."""
    permit_everywhere(call.caller)
    facts = given(body)
    if not facts:
        raise InvalidInput("the body changes nothing")
    steering.change(call.rt, call.caller, facts)
    return show_scheduler(call)
