"""Keeps processes alive: what dies is started again, ever later while it goes on dying, with one line each time."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from api.up.embedded import stop_signals as watching
from api.up.embedded.child_process import Servant
from api.up.embedded.stop_signals import Watch
from scheduler.errors import SetupError

FIRST_DELAY_S = 0.2
LAST_DELAY_S = 30.0
# Who lived this long had started well: the next delay is the first again.
WELL_AFTER_S = 30.0
# How often to look after logs and orphans where nothing happens.
ROUND_S = 5.0
LOG_BYTES = 20 * 1024 * 1024
LOGS_KEPT = 3

Tell = Callable[[str], None]


@dataclass(slots=True)
class Ward:
    """One process to keep alive. `launch` starts it again without waiting for it to be ready.

    One that `may_leave` stays away when it ended with exit code 0: a node that was drained has left for good.
    """

    title: str
    servant: Servant
    launch: Callable[[], None]
    deaths: int = 0
    started_at: float = field(default_factory=time.monotonic)
    due_at: float | None = None
    may_leave: bool = False
    left: bool = False

    def look(self, now: float, tell: Tell) -> None:
        """Notice a death, or start again what is due."""
        if self.due_at is None:
            code = self.servant.ended()
            if code == 0 and self.may_leave and not self.left:
                self.left = True
                tell(f"{self.title} has left")
            elif code is not None and not self.left:
                self._mourn(code, now, tell)
        elif now >= self.due_at:
            self._restart(now, tell)

    def _mourn(self, code: int, now: float, tell: Tell) -> None:
        if now - self.started_at >= WELL_AFTER_S:
            self.deaths = 0
        delay = min(FIRST_DELAY_S * 2**self.deaths, LAST_DELAY_S)
        self.deaths += 1
        self.due_at = now + delay
        tell(f"{self._obituary(code)}; starting it again in {delay:.1f} s (log: {self.servant.order.log})")

    def _obituary(self, code: int) -> str:
        """Say how it ended, and why if it said so itself: who was killed had no time to."""
        ended = f"{self.title} {how_it_ended(code)}"
        words = self.servant.last_words().removeprefix("ganger: ").rstrip(".") if code > 0 else ""
        return f"{ended}: {words}" if words else ended

    def _restart(self, now: float, tell: Tell) -> None:
        try:
            self.launch()
        except (OSError, SetupError) as error:
            self.deaths += 1
            self.due_at = now + min(FIRST_DELAY_S * 2**self.deaths, LAST_DELAY_S)
            tell(f"{self.title} cannot be started: {error}")
        else:
            self.started_at, self.due_at = now, None


def keep(wards: Sequence[Ward], watch: Watch, tell: Tell) -> None:
    """Keep all of them alive until somebody wants us to stop; then raises Stopped."""
    while True:
        now = time.monotonic()
        for ward in wards:
            ward.look(now, tell)
        tend(wards)
        due = [ward.due_at for ward in wards if ward.due_at is not None]
        watch.until_something(max(0.0, min([*due, now + ROUND_S]) - time.monotonic()))


def tend(wards: Sequence[Ward]) -> None:
    """Do what has no event of its own: collect orphans, turn over long logs."""
    watching.reap_orphans({ward.servant.pid for ward in wards if ward.servant.pid is not None})
    for log in {ward.servant.order.log for ward in wards}:
        turn_over(log)


def turn_over(log: Path, limit: int = LOG_BYTES) -> None:
    """Move a log's content to `<log>.1` once it is long, older ones one further; the writers keep their file open.

    They append, so they go on at the new end; a line written between the copy and the cut is lost.
    """
    try:
        if log.stat().st_size < limit:
            return
        for number in range(LOGS_KEPT - 1, 0, -1):
            older = log.with_name(f"{log.name}.{number}")
            if older.exists():
                older.replace(log.with_name(f"{log.name}.{number + 1}"))
        shutil.copyfile(log, log.with_name(f"{log.name}.1"))
        os.truncate(log, 0)
    except OSError:
        return  # a full disk must not end the supervision; the next round tries again


def how_it_ended(code: int) -> str:
    """Say an exit code in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
