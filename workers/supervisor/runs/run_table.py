"""All runs that the supervisor holds: started from a queue, held to their limits, reaped, and reported exactly once.

Nothing in here waits. The loop calls `step` after each poll and at `next_due`. Then `unpublished` holds the events, as
JSON in the order in which they happened; they may be published once the journal is on disk. `put_away` follows: who hears of an
end decides meanwhile what is to start next.
"""

import json
import time
from typing import Final

from workers.supervisor.journal import RunJournal
from workers.supervisor.periodic_checks import PeriodicChecks
from workers.supervisor.reasons import EndReason, killed
from workers.supervisor.request import RunKey, RunRequest
from workers.supervisor.runs.live_runs import LiveRuns
from workers.supervisor.runs.run import Run, RunEvent, ended_event
from workers.supervisor.runs.run_starter import RunStarter
from workers.supervisor.runs.samples import SAMPLE
from workers.supervisor.trees import Tree, TreeKind

_STARTS_PER_STEP: Final = 16  # some 10 ms; between them kills and ends are served
_TICK_S: Final = 1.0  # leases, stuck trees, new checks, samples
_CHECKS_AFTER_S: Final = 0.1  # most programs are over before their disk and output need a check


class RunTable:
    """The runs of one node. Used by one thread, the spawner's."""

    def __init__(self, kind: TreeKind, starter: RunStarter, journal: RunJournal, checks: PeriodicChecks) -> None:
        self.unpublished: list[str] = []
        self._kind = kind
        self._starter = starter
        self._journal = journal
        self._checks = checks
        self._queue: dict[RunKey, RunRequest] = {}
        self._runs = LiveRuns()
        self._over: list[Run] = []  # their ends are recorded, and what was made for them is still there
        self._next_tick = 0.0
        self._lost: list[RunKey] = []  # of an earlier life, to be reported when the sweep is over
        self._lease_sent: float | None = None
        self._closing = False

    @property
    def is_done(self) -> bool:
        """Whether nothing is held or waits to be started."""
        return not self._runs.by_tree and not self._queue

    def start(self, requests: list[RunRequest]) -> tuple[list[RunEvent], list[RunEvent]]:
        """Queue runs to be started. Returns the last events of those known already, and the refused ones.

        May be repeated: a run that was ever requested is not started again until its tree is released.
        """
        known: list[RunEvent] = []
        refused: list[RunEvent] = []
        new: dict[RunKey, RunRequest] = {}
        waiting = dict((*self._queue, *self._lost))
        for each in requests:
            key = (each.tree, each.phase)
            if self._journal.knows(key):
                text = self._journal.last_event(key)
                known.append(json.loads(text) if text else {"ev": "queued", "tree": key[0], "phase": key[1]})
            elif key in new:
                continue
            elif message := self._objection(each.tree, waiting):
                refused.append({"tree": each.tree, "phase": each.phase, "message": message})
            else:
                new[key] = each
                waiting[each.tree] = each.phase
        if new:
            try:
                self._journal.intend(list(new))
            except OSError as error:
                text = f"the journal cannot be written: {error}"
                return known, refused + [{"tree": key[0], "phase": key[1], "message": text} for key in new]
            self._queue |= new
        return known, refused

    def stop(self, tree: str, reason: str, grace_s: float) -> bool:
        """Stop the run of a tree, or the one that waits to be started. Returns whether there was one. May be repeated."""
        for key in [key for key in self._queue if key[0] == tree]:
            del self._queue[key]
            self._record(ended_event(key, reason, ended=time.time(), message="stopped before it was started"))
            return True
        run = self._runs.by_tree.get(tree)
        if run is None:
            return False
        run.termination.stop(reason, grace_s, time.monotonic())
        self._runs.touch([run])
        return True

    def release(self, tree: str) -> str | None:
        """Forget how a tree's runs ended. Returns why not, where one of them is not over. May be repeated."""
        if tree in self._runs.by_tree or any(key[0] == tree for key in (*self._queue, *self._lost)):
            return "not over yet"
        self._journal.forget(tree)
        return None

    def lease(self, sent_boot: float) -> None:
        """Record when the last successful heartbeat was sent. An earlier time, or one in the future, changes nothing."""
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        self._lease_sent = max(self._lease_sent or 0.0, min(sent_boot, now))

    def events(self) -> list[str]:
        """Return, as JSON, the last event of every run that is not released: a new subscriber must know them."""
        unpublished = set(self.unpublished)
        texts = (self._journal.last_event(key) for key in self._journal.runs())
        return [text for text in texts if text and text not in unpublished]

    def close(self, grace_s: float) -> None:
        """Stop everything and start nothing more."""
        self._closing = True
        for tree in {key[0] for key in self._queue} | set(self._runs.by_tree):
            self.stop(tree, killed("shutdown"), grace_s)

    def sweep(self, leftover: Tree) -> None:
        """Kill everything that earlier lives of the supervisor left, then report every run whose end they did not see."""
        self._lost = [key for key in self._journal.runs() if not self._journal.is_ended(key)]
        now, wall = time.monotonic(), time.time()
        run = Run(leftover, "", None, now=now, boot=time.clock_gettime(time.CLOCK_BOOTTIME), wall=wall)
        run.take_over(wall)
        self._runs.add(run)
        self._runs.touch([run])

    def reap(self) -> None:
        """Reap every child that has ended: main processes, and orphans of trees."""
        self._runs.reap()

    def step(self) -> None:
        """Do all that is due now."""
        self._kind.refresh()
        now = time.monotonic()
        self._runs.touch_due(now)
        if now >= self._next_tick:
            self._tick(now)
        for run in self._runs.take_touched():
            self._act(run, now)
        if self._queue:
            self.put_away()
        for key in list(self._queue)[:_STARTS_PER_STEP]:
            self._begin(self._queue.pop(key))

    def put_away(self) -> None:
        """Put away what was made for the runs that are over. Nothing may be started before that."""
        over, self._over = self._over, []
        for run in over:
            self._starter.end(run)

    def drop_samples(self) -> None:
        """Forget the samples that nobody has heard: while events wait for the journal, they would pile up behind them."""
        self.unpublished = [text for text in self.unpublished if not text.startswith(SAMPLE)]

    def check_disks(self) -> None:
        """A directory has become too large: stop the run that it belongs to."""
        now = time.monotonic()
        for run in self._runs.by_tree.values():
            run.check_disk(now)
        self._touch_stopped(now)

    def next_due(self) -> float | None:
        """Return the seconds until `step` has something to do by itself, `None` where it never will."""
        if self._queue or self._runs.has_touched:
            return 0.0
        if not self._runs.by_tree:
            return None
        return max(min(self._next_tick, self._runs.first_due) - time.monotonic(), 0.0)

    def _objection(self, tree: str, waiting: dict[str, str]) -> str | None:
        if self._closing:
            return "the supervisor is shutting down"
        run = self._runs.by_tree.get(tree)
        phase = run.phase if run is not None else waiting.get(tree)
        return None if phase is None else f"phase {phase} of this tree is not over"

    def _begin(self, request: RunRequest) -> None:
        """Start a run, or record why that failed."""
        run = self._starter.start(request)
        if not isinstance(run, Run):
            self._record(run)
            return
        self._runs.add(run, request.sample_s)
        named = {"ev": "started", "tree": request.tree, "phase": request.phase}
        self._record(named | {"pid": run.pid, "at": run.started_wall})

    def _act(self, run: Run, now: float) -> None:
        if not run.act(now):
            self._runs.schedule(run)
            return
        self._starter.end_output(run)
        if run.phase:
            self._record(run.end_event(now))
        else:
            self._report_lost()
        self._over.append(run)
        self._runs.remove(run)

    def _tick(self, now: float) -> None:
        self._next_tick = now + _TICK_S
        boot = time.clock_gettime(time.CLOCK_BOOTTIME)
        for name, run in self._runs.by_tree.items():
            run.termination.fence(self._lease_sent, boot, now)
            if not run.has_checks and now - run.started > _CHECKS_AFTER_S:
                run.has_checks = True
                if run.disk_usage is not None:
                    self._checks.add([run.disk_usage])
            if run.termination.is_stuck(now):
                event = {"ev": "stuck", "tree": name, "phase": run.phase, "pids": run.tree.pids()}
                self.unpublished.append(json.dumps(event))
        self.unpublished += self._runs.samples.due(now)
        self._touch_stopped(now)

    def _touch_stopped(self, now: float) -> None:
        self._runs.touch(run for run in self._runs.by_tree.values() if run.termination.due <= now)

    def _report_lost(self) -> None:
        """Report the runs of an earlier life, now that nothing of it is alive."""
        for key in self._lost:
            last = json.loads(self._journal.last_event(key) or "{}")
            lost = ended_event(key, EndReason.SUPERVISOR_LOST, ended=time.time(), message="the supervisor was killed")
            self._record(lost | {"pid": last.get("pid"), "started": last.get("at")})
        self._lost = []

    def _record(self, event: RunEvent) -> None:
        self.unpublished.append(self._journal.record(event))
