"""Starts processes again that end: after a delay that grows while they end soon after their start, with one line each time."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from api.up.embedded import stop_signals
from api.up.embedded.child_process import ChildProcess
from api.up.embedded.stop_signals import StopSignals
from scheduler.errors import SetupError

FIRST_DELAY_S = 0.2
LAST_DELAY_S = 30.0
# A process that ran this long had started well: the next delay is the first again.
WELL_AFTER_S = 30.0
# How often logs and orphans are seen to where nothing happens.
ROUND_S = 5.0
LOG_BYTES = 20 * 1024 * 1024
LOGS_KEPT = 3

Report = Callable[[str], None]
"""Tells the person at the terminal one line."""


@dataclass(slots=True)
class RestartedProcess:
    """One process that is started again when it ends. `launch` starts it without waiting for it to be ready.

    One that `may_leave` is not started again when it ended with exit code 0: a node that was drained has left for good.
    """

    title: str
    process: ChildProcess
    launch: Callable[[], None]
    deaths: int = 0
    started_at: float = field(default_factory=time.monotonic)
    due_at: float | None = None
    may_leave: bool = False
    left: bool = False

    def step(self, now: float, report: Report) -> None:
        """Notice that it has ended, or start it again when that is due."""
        if self.due_at is None:
            code = self.process.ended()
            if code == 0 and self.may_leave and not self.left:
                self.left = True
                report(f"{self.title} has left")
            elif code is not None and not self.left:
                self._schedule(code, now, report)
        elif now >= self.due_at:
            self._restart(now, report)

    def _schedule(self, code: int, now: float, report: Report) -> None:
        """Decide when it is started again: the more often it has ended soon after its start, the later."""
        if now - self.started_at >= WELL_AFTER_S:
            self.deaths = 0
        delay = self._delay_s()
        self.deaths += 1
        self.due_at = now + delay
        report(f"{self._ending(code)}; starting it again in {delay:.1f} s (log: {self.process.spec.log})")

    def _delay_s(self) -> float:
        return min(FIRST_DELAY_S * 2.0**self.deaths, LAST_DELAY_S)

    def _ending(self, code: int) -> str:
        """Return how it ended, with the reason from its log; a process that was killed had no time to write one."""
        ended = f"{self.title} {how_it_ended(code)}"
        reason = self.process.last_error_line().removeprefix("ganger: ").rstrip(".") if code > 0 else ""
        return f"{ended}: {reason}" if reason else ended

    def _restart(self, now: float, report: Report) -> None:
        try:
            self.launch()
        except (OSError, SetupError) as error:
            self.deaths += 1
            self.due_at = now + self._delay_s()
            report(f"{self.title} cannot be started: {error}")
        else:
            self.started_at, self.due_at = now, None


def run(processes: Sequence[RestartedProcess], signals: StopSignals, report: Report) -> None:
    """Keep all of them running until we are asked to stop; then raises StopSignalReceived."""
    while True:
        now = time.monotonic()
        for each in processes:
            each.step(now, report)
        do_housekeeping(processes)
        due = [each.due_at for each in processes if each.due_at is not None]
        signals.pause_until_event(max(0.0, min([*due, now + ROUND_S]) - time.monotonic()))


def do_housekeeping(processes: Sequence[RestartedProcess]) -> None:
    """Do what no event announces: collect the exit codes of orphans, rotate long logs."""
    stop_signals.reap_orphans({each.process.pid for each in processes if each.process.pid is not None})
    for log in {each.process.spec.log for each in processes}:
        rotate(log)


def rotate(log: Path, limit: int = LOG_BYTES) -> None:
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
