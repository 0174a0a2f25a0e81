"""The leader's duties rest while nothing waits and nothing runs: their turns come seldomer, until a nudge wakes them."""

from __future__ import annotations

from scheduler.settings import Settings

LONGEST_S = 4.0
TIMES = 5.0


def pause_s(usual_s: float, settings: Settings, *, is_idle: bool) -> float:
    """Return the pause of a duty between two turns: in idle times five times the usual one, but silence is noticed all the same."""
    if not is_idle:
        return usual_s
    return max(usual_s, min(TIMES * usual_s, LONGEST_S, settings.suspect_s / 3))
