"""Pauses of nodes, projects and the scheduler: the reason is cleared when the pause ends."""

from __future__ import annotations

from scheduler.errors import InvalidInput


def reason_to_keep(*, is_paused: bool, reason: str | None, given: str | None, subject: str) -> str | None:
    """Return the reason for a pause as it shall be: what goes on has none. Raises InvalidInput for one that is given then.

    `is_paused` and `reason` are as after the change, `given` is what the change says itself; `subject` such as "a node".
    """
    if is_paused:
        return reason
    if given is not None:
        raise InvalidInput(f"a pause_reason is only for {subject} that is paused", field="pause_reason")
    return None
