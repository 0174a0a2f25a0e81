"""The leader's duties rest while nothing waits and nothing runs: their turns come seldomer, until a nudge wakes them."""

from __future__ import annotations

from collections.abc import Callable

from scheduler.settings import Settings

LONGEST_S = 4.0
TIMES = 5.0


def pause_s(usual_s: float, settings: Settings, *, is_idle: bool) -> float:
    """Return the pause of a duty between two turns: in idle times five times the usual one, but silence is noticed all the same."""
    if not is_idle:
        return usual_s
    return max(usual_s, min(TIMES * usual_s, LONGEST_S, settings.suspect_s / 3))


class LeaderRest:
    """Which loops of a leader rest, until something is nudged; `is_idle` tells whether there is nothing to do."""

    def __init__(self, settings: Settings, is_idle: Callable[[], bool]) -> None:
        self._settings, self._is_idle = settings, is_idle
        self._loops: set[str] = set()

    def pause(self, loop: str, usual_s: float, due_s: Callable[[], float] | None = None) -> float:
        """Return the pause of a loop; one that rests is back by `due_s`, where it has something due."""
        pause = pause_s(usual_s, self._settings, is_idle=self._is_idle())
        if pause <= usual_s:
            return pause
        self._loops.add(loop)
        return pause if due_s is None else min(pause, due_s())

    def over(self) -> set[str]:
        """End the rest; return the loops that were resting."""
        loops, self._loops = self._loops, set()
        return loops
