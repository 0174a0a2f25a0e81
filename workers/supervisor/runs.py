"""All the phases that the supervisor holds: started from a queue, watched, reaped, and told of exactly once.

Nothing in here waits. The loop calls `step` after each poll and at `next_due`; `news` then holds the events,
as JSON in the order they happened, to be published once the outcomes are on disk.
"""

import heapq
import json
import os
import time
from typing import Any, Final

from workers.supervisor import run
from workers.supervisor.disk_usage import Gauge, Gauges
from workers.supervisor.journal import Outcomes
from workers.supervisor.output_cap import Spout
from workers.supervisor.reasons import EndReason, killed
from workers.supervisor.request import RunRequest
from workers.supervisor.spawn import LaunchError, ProgramError, Spawner
from workers.supervisor.trees import TreeKind, leftovers

_STARTS_PER_STEP: Final = 16  # some 10 ms; between them kills and ends are served
_TICK_S: Final = 1.0  # lease, stuck trees, what is new to the gauges
_WORTH_A_LOOK_S: Final = 0.1  # most programs are over before anybody needs to look at their disk and output
# Time limits of phases that are over stay in the list until they come due, or until there are too many of them.
_STALE_FACTOR: Final = 2
_STALE_ALLOWED: Final = 256

Key = tuple[str, str]
Event = dict[str, Any]


class Forest:
    """The trees of one node. One thread, the spawner's."""

    def __init__(self, node: str, kind: TreeKind, spawner: Spawner, outcomes: Outcomes, gauges: Gauges) -> None:
        self.news: list[str] = []
        self._node = node
        self._kind = kind
        self._spawner = spawner
        self._outcomes = outcomes
        self._gauges = gauges
        self._queue: dict[Key, RunRequest] = {}
        self._watches: dict[str, run.Watch] = {}  # by tree: one phase at a time
        self._by_pid: dict[int, run.Watch] = {}
        self._touched: dict[str, run.Watch] = {}
        self._due: list[tuple[float, int, run.Watch]] = []
        self._pushed = 0
        self._next_tick = 0.0
        self._lost: list[Key] = []  # of an earlier life, to be reported when the sweep is over
        self._lease_sent: float | None = None
        self._closing = False

    @property
    def is_done(self) -> bool:
        """Whether nothing is held or waits to be started."""
        return not self._watches and not self._queue

    def start(self, requests: list[RunRequest]) -> tuple[list[Event], list[Event]]:
        """Queue phases to be started. Returns the last events of those known already, and the refused ones.

        May be repeated: what was ever ordered is never started again until it is released.
        """
        known: list[Event] = []
        refused: list[Event] = []
        new: dict[Key, RunRequest] = {}
        waiting = dict((*self._queue, *self._lost))
        for each in requests:
            key = (each.tree, each.phase)
            if self._outcomes.has(key):
                text = self._outcomes.text(key)
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
                self._outcomes.intend(list(new))
            except OSError as error:
                text = f"the journal cannot be written: {error}"
                return known, refused + [{"tree": key[0], "phase": key[1], "message": text} for key in new]
            self._queue |= new
        return known, refused

    def stop(self, tree: str, reason: str, grace_s: float) -> bool:
        """Stop what runs or waits of a tree. Returns whether there was anything. May be repeated."""
        for key in [key for key in self._queue if key[0] == tree]:
            del self._queue[key]
            self._tell(run.ended(key, reason, ended=time.time(), message="stopped before it was started"))
            return True
        watch = self._watches.get(tree)
        if watch is None:
            return False
        watch.stop(reason, grace_s, time.monotonic())
        self._touched[tree] = watch
        return True

    def release(self, tree: str) -> str | None:
        """Forget a tree's outcomes. Returns why not, where something of it still runs. May be repeated."""
        if tree in self._watches or any(key[0] == tree for key in (*self._queue, *self._lost)):
            return "not over yet"
        self._outcomes.forget(tree)
        return None

    def lease(self, sent_boot: float) -> None:
        """Hear when the last successful heartbeat was sent; never goes back, nor beyond now."""
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        self._lease_sent = max(self._lease_sent or 0.0, min(sent_boot, now))

    def events(self) -> list[str]:
        """Return, as JSON, the last event of every phase not released: what a new subscriber must know."""
        unpublished = set(self.news)
        texts = (self._outcomes.text(key) for key in self._outcomes.ordered())
        return [text for text in texts if text and text not in unpublished]

    def close(self, grace_s: float) -> None:
        """Stop everything and start nothing more."""
        self._closing = True
        for tree in {key[0] for key in self._queue} | set(self._watches):
            self.stop(tree, killed("shutdown"), grace_s)

    def sweep(self) -> None:
        """Take over what earlier lives left: kill all of it, then report every phase whose end was not seen."""
        leftover = leftovers.find(self._node, self._kind)
        self._lost = [key for key in self._outcomes.ordered() if not self._outcomes.is_ended(key)]
        now, wall = time.monotonic(), time.time()
        watch = run.Watch(leftover, "", None, now=now, boot=time.clock_gettime(time.CLOCK_BOOTTIME), wall=wall)
        watch.lost(wall)
        self._watches[leftover.name] = self._touched[leftover.name] = watch

    def reap(self) -> None:
        """Collect every child that ended: main processes, and orphans of trees."""
        while True:
            try:
                pid, status, rusage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            watch = self._by_pid.pop(pid, None)
            if watch is not None:
                watch.main_ended(status, rusage, time.time())
                self._touched[watch.tree.name] = watch
            else:  # an orphan: perhaps the last one that a dying tree waited for
                self._touched |= {name: each for name, each in self._watches.items() if each.recheck_at < float("inf")}

    def step(self) -> None:
        """Do all that is due now."""
        self._kind.refresh()
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            watch = heapq.heappop(self._due)[2]
            watch.queued_at = float("inf")
            if self._watches.get(watch.tree.name) is watch:
                self._touched[watch.tree.name] = watch
        if now >= self._next_tick:
            self._tick(now)
        touched, self._touched = self._touched, {}
        for watch in touched.values():
            self._act(watch, now)
        for key in list(self._queue)[:_STARTS_PER_STEP]:
            self._begin(self._queue.pop(key))

    def weigh(self) -> None:
        """A directory has become too large: see whose."""
        now = time.monotonic()
        for name, watch in self._watches.items():
            watch.measure(now)
            if watch.due <= now:
                self._touched[name] = watch

    def next_due(self) -> float | None:
        """Return the seconds until `step` has something to do by itself; `None` where it never will."""
        if self._queue or self._touched:
            return 0.0
        if not self._watches:
            return None
        due = min(self._next_tick, self._due[0][0] if self._due else self._next_tick)
        return max(due - time.monotonic(), 0.0)

    def _objection(self, tree: str, waiting: dict[str, str]) -> str | None:
        if self._closing:
            return "the supervisor is shutting down"
        watch = self._watches.get(tree)
        phase = watch.phase if watch is not None else waiting.get(tree)
        return None if phase is None else f"phase {phase} of this tree is not over"

    def _begin(self, each: RunRequest) -> None:
        """Create the tree and start its program, or tell why not."""
        key = (each.tree, each.phase)
        wall = time.time()
        tree = None
        try:
            tree = self._kind.create(each.tree, each.limits.of_tree)
            pid = self._spawner.spawn(each, tree)
        except OSError as error:
            if tree is not None:
                tree.remove()
            text = str(error.strerror) if isinstance(error, LaunchError) else f"no tree can be made: {error}"
            event = run.ended(
                key, EndReason.LAUNCH, started=wall, ended=wall, message=text, errno=error.errno,
                of_program=isinstance(error, ProgramError),
            )  # fmt: skip
            self._tell(event)
            return
        boot = time.clock_gettime(time.CLOCK_BOOTTIME)
        watch = run.Watch(tree, each.phase, pid, now=time.monotonic(), boot=boot, wall=wall)
        watch.limit_time(each.timeout_s, each.grace_s, each.lease_s)
        if each.limits.output_bytes is not None:
            watch.spout = Spout((each.stdout, each.stderr), each.limits.output_bytes)
        if each.folder is not None:
            watch.folder, watch.gauge = each.folder, Gauge(each.folder, each.limits.disk_bytes)
        tree.born(pid)
        self._watches[each.tree] = self._by_pid[pid] = watch
        self._push(watch)
        self._tell({"ev": "started", "tree": each.tree, "phase": each.phase, "pid": pid, "at": wall})

    def _act(self, watch: run.Watch, now: float) -> None:
        if self._watches.get(watch.tree.name) is not watch:
            return
        if not watch.act(now):
            self._push(watch)
            return
        watch.close()
        if watch.phase:
            self._tell(watch.outcome(now))
        else:
            self._tell_lost()
        watch.tree.remove()
        del self._watches[watch.tree.name]

    def _push(self, watch: run.Watch) -> None:
        if watch.due < watch.queued_at:
            watch.queued_at = watch.due
            self._pushed += 1
            heapq.heappush(self._due, (watch.due, self._pushed, watch))
            if len(self._due) > _STALE_FACTOR * len(self._watches) + _STALE_ALLOWED:
                self._due = [each for each in self._due if self._watches.get(each[2].tree.name) is each[2]]
                heapq.heapify(self._due)

    def _tick(self, now: float) -> None:
        self._next_tick = now + _TICK_S
        boot = time.clock_gettime(time.CLOCK_BOOTTIME)
        for name, watch in self._watches.items():
            watch.fence(self._lease_sent, boot, now)
            if not watch.is_looked_at and now - watch.started > _WORTH_A_LOOK_S:
                watch.is_looked_at = True
                self._gauges.add(each for each in (watch.spout, watch.gauge) if each is not None)
            if watch.due <= now:
                self._touched[name] = watch
            if watch.is_stuck(now):
                event = {"ev": "stuck", "tree": name, "phase": watch.phase, "pids": watch.tree.pids()}
                self.news.append(json.dumps(event))

    def _tell_lost(self) -> None:
        """Report the phases of an earlier life, now that nothing of it is alive."""
        for key in self._lost:
            last = json.loads(self._outcomes.text(key) or "{}")
            lost = run.ended(key, EndReason.SUPERVISOR_LOST, ended=time.time(), message="the supervisor was killed")
            self._tell(lost | {"pid": last.get("pid"), "started": last.get("at")})
        self._lost = []

    def _tell(self, event: Event) -> None:
        self.news.append(self._outcomes.note(event))
