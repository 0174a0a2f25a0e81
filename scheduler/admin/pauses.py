"""What pauses have in common, whatever is paused: a reason that goes when the pause goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.errors import InvalidInput


def with_reason(changed: Mapping[str, Any], facts: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return all columns as they shall be: what goes on has no reason for a pause. Raises InvalidInput for one given.

    `changed` are the columns with the change in them, `facts` the change alone, `what` such as "a node".
    """
    if changed["is_paused"]:
        return dict(changed)
    if facts.get("pause_reason") is not None:
        raise InvalidInput(f"a pause_reason is only for {what} that is paused", field="pause_reason")
    return {**changed, "pause_reason": None}
