"""The supervisor of one node: starts, limits, watches and kills process trees, and outlives agent and consumer.

It is one small process. It runs isolated (`python -I -S`) and imports the standard library and this folder only; an
import contract and a test hold that. One thread does all the work but two things: the first thread measures
directories, and another one moves output into files. The working thread takes on user, cgroup and directory of a
program to start it; the rest of the process never does. Requests, answers and messages are described in
`workers.agent.supervisor_client`.
"""

import contextlib
import fcntl
import json
import os
import select
import signal
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Final

from workers.supervisor import reasons, request, syscalls
from workers.supervisor.journal import RunJournal
from workers.supervisor.limits import VERSION
from workers.supervisor.line_server import ClientConnection, LineMessage, LineServer, events_line
from workers.supervisor.output_pipes import OutputMover
from workers.supervisor.periodic_checks import PeriodicChecks
from workers.supervisor.runs.run_starter import RunStarter
from workers.supervisor.runs.run_table import RunTable
from workers.supervisor.spawn import ProcessSpawner
from workers.supervisor.trees import choice, leftovers, processes

CAUGHT_UP: Final = '{"ev":"caught_up"}'
_LOCKED: Final = 3  # exit code: another supervisor holds this directory
_CRASHED: Final = 70
_MANY_DESCRIPTORS: Final = 1 << 20
_OOM_SCORE: Final = b"-500"  # the jobs' is +500, the agent's may be lower still
_TERM_GRACE_S: Final = 10.0  # for the trees when the supervisor itself is asked to end
_CLOSING_LIMIT_S: Final = 60.0  # beyond their grace; then even an unkillable process no longer holds us
_RETRY_S: Final = 1.0  # after the journal could not be written
_SIGNAL: Final = struct.Struct("I124x")  # signalfd_siginfo: the number, and what we do not need
_SIGNALS: Final[set[int]] = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


class Supervisor:
    """The loop between the socket, the signals and the runs."""

    def __init__(
        self, directory: str, forced: str | None, alarm: int, checks: PeriodicChecks, mover: OutputMover
    ) -> None:
        node = choice.node_name(directory)
        spawner = ProcessSpawner(node)
        kind = choice.choose(node, forced, log)
        spawner.cells.filtered = not kind.forks
        boot = processes.boot_id()
        self._journal = RunJournal(f"{directory}/outcomes.jsonl")
        self._journal.begin(boot)
        self._kind = kind
        self._runs = RunTable(kind, RunStarter(kind, spawner, mover), self._journal, checks)
        self._runs.sweep(leftovers.find(node, kind))
        self._poll = select.epoll()
        self._signals = syscalls.signal_descriptor(_SIGNALS)
        self._alarm = alarm
        self._poll.register(self._signals, select.EPOLLIN)
        self._poll.register(alarm, select.EPOLLIN)
        self._cells = spawner.cells
        self._poll.register(self._cells.changes, select.EPOLLPRI)
        self._hello = {
            "hello": "ganger supervisor", "version": VERSION, "pid": os.getpid(), "boot_id": boot,
            "tree": kind.name, "missing": [*kind.missing, *spawner.missing], "confines": spawner.has_namespaces,
            "started": time.time(),
        }  # fmt: skip
        self._lines = LineServer(directory, self._poll, self._hello, self._answer)
        self._closing_until: float | None = None
        self._operations: dict[str, Callable[[ClientConnection, LineMessage], LineMessage]] = {
            "start": self._start, "kill": self._kill, "release": self._release, "lease": self._lease,
            "list": self._list, "ping": self._ping, "subscribe": self._subscribe, "shutdown": self._shutdown,
        }  # fmt: skip

    def run(self) -> None:
        """Serve until asked to shut down."""
        while not self._is_over():
            for descriptor, events in self._wait():
                if descriptor == self._signals:
                    self._handle_signals()
                elif descriptor == self._alarm:
                    os.eventfd_read(self._alarm)
                    self._runs.check_disks()
                elif descriptor == self._cells.changes:
                    self._cells.forget()
                elif self._lines.handles(descriptor):
                    self._lines.serve(descriptor, events)
            self._runs.step()
            self._publish()
            self._runs.put_away()
        self._kind.close()
        self._lines.close()  # last: by that a client knows that nothing is left

    def _wait(self) -> list[tuple[int, int]]:
        timeout = self._runs.next_due()
        if self._runs.unpublished or self._closing_until is not None:
            timeout = min(_RETRY_S, _RETRY_S if timeout is None else timeout)
        return self._poll.poll(timeout)

    def _is_over(self) -> bool:
        if self._closing_until is None:
            return False
        done = self._runs.is_done and not self._runs.unpublished
        return done or time.monotonic() > self._closing_until

    def _publish(self) -> None:
        """Write the journal, then publish the events: what a client was told is never forgotten. On a full disk: later."""
        try:
            self._journal.flush()
        except OSError as error:
            log(f"outcomes cannot be written, events wait: {error}")
            self._runs.drop_samples()
            return
        events, self._runs.unpublished = self._runs.unpublished, []
        self._lines.publish(events)

    def _handle_signals(self) -> None:
        records = os.read(self._signals, _SIGNAL.size * 64)
        if any(number == signal.SIGTERM for (number,) in _SIGNAL.iter_unpack(records)):
            self._close(0.0 if self._closing_until else _TERM_GRACE_S)
        self._runs.reap()

    def _close(self, grace_s: float) -> None:
        self._runs.close(grace_s)
        self._closing_until = time.monotonic() + grace_s + _CLOSING_LIMIT_S

    def _answer(self, client: ClientConnection, message: LineMessage) -> LineMessage:
        operation = self._operations.get(str(message.get("op")))
        if operation is None:
            raise ValueError(f"unknown op; there are {', '.join(self._operations)}")
        return operation(client, message)

    def _start(self, _client: ClientConnection, message: LineMessage) -> LineMessage:
        requests, refused = [], []
        for run in message["runs"]:
            try:
                requests.append(request.decode(run))
            except request.RequestError as error:
                named = run if isinstance(run, dict) else {}
                refused.append({"tree": named.get("tree"), "phase": named.get("phase"), "message": str(error)})
        known, objected = self._runs.start(requests)
        return {"known": known, "refused": refused + objected}

    def _kill(self, _client: ClientConnection, message: LineMessage) -> LineMessage:
        unknown = [
            kill["tree"]
            for kill in message["trees"]
            if not self._runs.stop(
                request.checked_tree(kill["tree"]), reasons.killed(kill["reason"]), float(kill["grace_s"])
            )
        ]
        return {"unknown": unknown}

    def _release(self, _client: ClientConnection, message: LineMessage) -> LineMessage:
        refusals = {tree: self._runs.release(request.checked_tree(tree)) for tree in message["trees"]}
        return {"refused": [{"tree": tree, "message": text} for tree, text in refusals.items() if text]}

    def _lease(self, _client: ClientConnection, message: LineMessage) -> LineMessage:
        self._runs.lease(float(message["sent_boottime"]))
        return {}

    def _list(self, _client: ClientConnection, _message: LineMessage) -> LineMessage:
        return {"runs": [json.loads(text) for text in self._runs.events()]}

    def _ping(self, _client: ClientConnection, _message: LineMessage) -> LineMessage:
        return {"hello": self._hello}

    def _subscribe(self, client: ClientConnection, message: LineMessage) -> LineMessage:
        client.subscribed, client.wants_starts = True, bool(message.get("starts", True))
        self._lines.send(client, events_line([*self._runs.events(), CAUGHT_UP]))
        return {}

    def _shutdown(self, _client: ClientConnection, message: LineMessage) -> LineMessage:
        self._close(float(message["grace_s"]))
        return {}


def main() -> None:
    """Run the supervisor of the directory given as argument; `--tree NAME` forces a kind of tree."""
    os.closerange(3, _MANY_DESCRIPTORS)  # descriptors that our starter left open would be every job's
    directory = os.path.realpath(sys.argv[1])
    forced = sys.argv[3] if sys.argv[2:3] == ["--tree"] else None
    os.makedirs(directory, 0o700, exist_ok=True)
    os.chdir("/")  # hold no folder of our starter
    lock = os.open(f"{directory}/supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        log(f"another supervisor holds {directory}")
        sys.exit(_LOCKED)
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    syscalls.become_subreaper()
    with contextlib.suppress(OSError):  # only root may
        descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        os.write(descriptor, _OOM_SCORE)
        os.close(descriptor)
    alarm = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    checks, mover = PeriodicChecks(alarm), OutputMover(log)
    threading.Thread(target=_or_crash, args=(mover.run,)).start()
    threading.Thread(target=_work, args=(directory, forced, alarm, checks, mover)).start()
    checks.run()  # until the other thread ends the process


def log(text: str) -> None:
    """Write one line to the supervisor's log, which is its standard error."""
    with contextlib.suppress(OSError):
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        os.write(2, f"{stamp} supervisor {os.getpid()}: {text}\n".encode())


def _work(directory: str, forced: str | None, alarm: int, checks: PeriodicChecks, mover: OutputMover) -> None:
    """Run all of it, then end the process."""
    _or_crash(lambda: _serve(Supervisor(directory, forced, alarm, checks, mover)))
    os._exit(0)


def _serve(supervisor: Supervisor) -> None:
    _report_ready()
    supervisor.run()


def _or_crash(work: Callable[[], None]) -> None:
    """Do a thread's work. An error that nobody expected ends the process; the next supervisor sweeps."""
    try:
        work()
    except choice.UnusableError as error:
        log(f"no tree can be held: {error}")
        os._exit(1)
    except BaseException:  # noqa: BLE001  (the last line of defence: the process must not stay half alive)
        log(traceback.format_exc())
        os._exit(_CRASHED)


def _report_ready() -> None:
    """Report to our starter, on standard output, and let go of it."""
    with contextlib.suppress(OSError):
        os.write(1, b"ready\n")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.close(null)
