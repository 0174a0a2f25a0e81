"""How urgent a caller may make jobs: by role, so that nobody goes before everybody by a number alone."""

from __future__ import annotations

from scheduler.documents import JsonValue
from scheduler.errors import Forbidden
from scheduler.identity import Caller, Role
from scheduler.settings import Settings


def check(settings: Settings, caller: Caller, priority: JsonValue, field: str = "priority") -> None:
    """Raise Forbidden for a priority that is more urgent (a smaller number) than the caller's role may give; None is no wish."""
    bounds = {Role.SUBMITTER: settings.submitter_priority, Role.OPERATOR: settings.operator_priority}
    bound = bounds.get(caller.role) if caller.role is not None else None
    if bound is not None and isinstance(priority, int) and priority < bound and caller.role is not None:
        raise Forbidden(
            f"the role {caller.role.name.lower()} gives priorities of {bound} and above (less urgent), not {priority}",
            field=field,
        )
