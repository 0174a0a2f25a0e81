"""When the leader's duties rest: the others while nothing waits and nothing runs, until a nudge wakes them; the tick under load."""

from __future__ import annotations

from collections.abc import Callable

from scheduler.settings import Settings

LONGEST_S = 10.0
TIMES = 10.0

_CREDIT_S = 0.05
_LONGEST_REST_S = 0.1


class TickPace:
    """Ticks take at most half of the time: under load many small ends come one after another, and gather meanwhile.

    What was not used lately is a credit, so that after a quiet moment, and where one small job follows the other, no tick waits.
    """

    def __init__(self) -> None:
        self._credit_s, self._since = _CREDIT_S, 0.0

    def owed_s(self, now: float) -> float:
        """Return how long the next tick has to wait."""
        self._credit_s, self._since = min(_CREDIT_S, self._credit_s + max(0.0, now - self._since)), now
        return max(0.0, -self._credit_s)

    def spend(self, began: float, ended: float) -> None:
        """Note that a tick was made."""
        self._credit_s = min(_CREDIT_S, self._credit_s + max(0.0, began - self._since)) - (ended - began)
        self._credit_s, self._since = max(self._credit_s, -_LONGEST_REST_S), ended


def pause_s(usual_s: float, settings: Settings, *, is_idle: bool, watches_nodes: bool = False) -> float:
    """Return the pause of a duty between two turns: in idle times ten times the usual one. Who watches nodes notices their silence all the same."""
    if not is_idle:
        return usual_s
    longest = min(LONGEST_S, settings.suspect_s / 3) if watches_nodes else LONGEST_S
    return max(usual_s, min(TIMES * usual_s, longest))


class LeaderRest:
    """Which loops of a leader rest, until something is nudged; `is_idle` tells whether the last tick found nothing to do.

    What a nudge tells of is known only once a tick has looked that began after it: until then no loop rests.
    """

    def __init__(self, settings: Settings, is_idle: Callable[[], bool]) -> None:
        self._settings, self._is_idle = settings, is_idle
        self._loops: set[str] = set()
        self._nudges = self._looked = 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing runs, as far as anybody has told."""
        return self._nudges == self._looked and self._is_idle()

    def looking(self) -> Callable[[], None]:
        """Note that a tick begins; call what is returned when it has ended."""
        seen = self._nudges

        def looked() -> None:
            self._looked = seen

        return looked

    def pause(
        self, loop: str, usual_s: float, due_s: Callable[[], float] | None = None, *, watches_nodes: bool = False
    ) -> float:
        """Return the pause of a loop; one that rests is back by `due_s`, where it has something due."""
        pause = pause_s(usual_s, self._settings, is_idle=self.is_idle, watches_nodes=watches_nodes)
        if pause <= usual_s:
            return pause
        self._loops.add(loop)
        return pause if due_s is None else min(pause, due_s())

    def over(self) -> set[str]:
        """End the rest; return the loops that were resting."""
        self._nudges += 1
        loops, self._loops = self._loops, set()
        return loops
