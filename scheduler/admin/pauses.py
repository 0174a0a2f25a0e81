"""Pauses of nodes, projects and the scheduler: the reason is cleared when the pause ends."""

from __future__ import annotations

from scheduler.errors import InvalidInput


def reason_to_keep(*, is_paused: bool, reason: str | None, given: str | None, subject: str) -> str | None:
    """Return the reason of a pause after a change: None if nothing is paused. Raises InvalidInput for a reason without a pause.

    `is_paused` and `reason` are the values after the change, `given` is the reason in the change itself; `subject` is a
    noun such as "a node".
    """
    if is_paused:
        return reason
    if given is not None:
        raise InvalidInput(f"a pause_reason is only for {subject} that is paused", field="pause_reason")
    return None
