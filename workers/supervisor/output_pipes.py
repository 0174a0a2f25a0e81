"""Programs write their output into pipes; the supervisor moves it into log files and holds these to their size.

A program may open its own output again by name, as `/dev/stdout` or `/proc/self/fd/1`: shells do so for `> /dev/stdout`,
and `tee /dev/stderr` does. If the output were a file, opening it again would cut it, and two positions in one file would
overwrite each other. A pipe has neither length nor position: nothing that was written vanishes, and the order stays.

One thread moves the output of all runs. It rests after each round, so that programs which write little cost few
awakenings. A flood gets a larger pipe and shorter rests, so that its program is not held up. Output beyond the cap is
discarded, but for its end (`output_cap`).

Who starts a run may ask to be told a little output with its end. Then there are no log files, unless there is more, or
the run goes on for a while: others want to read along.
"""

import contextlib
import fcntl
import os
import select
import threading
import time
from collections.abc import Callable
from typing import Final

from workers.supervisor.output_cap import CappedLog
from workers.supervisor.output_order import OutputOrder
from workers.supervisor.request import RunRequest
from workers.supervisor.spawn import LaunchError

_PIECE_BYTES: Final = 64 << 10  # the size of a new pipe
_WIDE_BYTES: Final = 1 << 20  # of a flood's pipe: the most that users other than root may ask for
_FLOOD_BYTES: Final = 32 << 10  # moved at once from one pipe
_REST_S: Final = 0.010
_SHORT_REST_S: Final = 0.001
_KEPT_S: Final = 0.1  # output is kept in memory alone for so long
_LAST_ROUNDS: Final = 2 * _WIDE_BYTES // _PIECE_BYTES  # empty any pipe, even if somebody outside the tree still writes


class OutputPipe:
    """The pipe of one output stream of one run, and the log file behind it. Used by two threads."""

    def __init__(self, stream: int, path: str, order: OutputOrder, most_bytes: int | None, keep_bytes: int) -> None:
        """Open both; what is in the file already stays. `stream` is its number in `order`. Raises LaunchError."""
        self._stream, self._order = stream, order
        self._log = CappedLog(path, most_bytes, keep_bytes)
        self.spill_at: float | None = time.monotonic() + _KEPT_S if keep_bytes else None
        """When what was written has to be in the file; None once it is."""
        try:
            self.reader, self.writer = os.pipe()
        except OSError as error:
            self._log.close()
            raise LaunchError(error.errno, f"no pipe for its output: {error.strerror}") from error
        os.set_blocking(self.reader, False)
        self._is_wide = False
        self._lock = threading.Lock()

    def give_to(self, uid: int | None, gid: int | None) -> None:
        """Let the program's user open the pipe again by name. Raises LaunchError."""
        if uid is None or gid is None or uid == os.geteuid():
            return
        try:
            os.fchown(self.writer, uid, gid)
        except OSError as error:
            raise LaunchError(error.errno, f"no pipe for its output: {error.strerror}") from error

    def close_writer(self) -> None:
        """Close our copy of the end that the program has. May be repeated."""
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    @property
    def kept(self) -> bytes | None:
        """All that was written, if it is not in the file."""
        return self._log.kept

    def spill(self) -> None:
        """From now on everything is written to the file."""
        with self._lock:
            self.spill_at = None
            if self.reader >= 0:
                self._log.spill()
                self._order.write()

    def move(self) -> int | None:
        """Move at most one pipe full into the file. Returns the number of bytes, or None when no more can come."""
        with self._lock:
            if self.reader < 0:
                return None
            if not self._log.retry():
                return 0
            try:
                moved = self._copy()
            except BlockingIOError:
                return 0
            if moved >= _FLOOD_BYTES and not self._is_wide:
                self._is_wide = True
                with contextlib.suppress(OSError):  # what all pipes of a user may hold together is limited
                    fcntl.fcntl(self.reader, fcntl.F_SETPIPE_SZ, _WIDE_BYTES)
            return moved or None

    def close(self) -> int:
        """Move all that is left, then close pipe and file. Returns how many bytes could not be written. May be repeated."""
        self.close_writer()
        for _ in range(_LAST_ROUNDS):
            if not self.move():
                break
        with self._lock:
            if self.reader < 0:
                return 0
            os.close(self.reader)
            self.reader = -1
            return self._log.close()

    def _copy(self) -> int:
        piece = os.read(self.reader, _WIDE_BYTES if self._is_wide else _PIECE_BYTES)
        if piece:
            self._order.note(self._stream, self._log.position, kept=self.spill_at is not None)
        self._log.write(piece)
        return len(piece)


class RunOutput:
    """The standard output and standard error of one run."""

    def __init__(self, request: RunRequest) -> None:
        """Open log files and pipes. Raises LaunchError."""
        self.pipes: list[OutputPipe] = []
        self.is_kept = request.keep_output_bytes > 0
        """Whether who started it is told a little output with its end."""
        try:
            order = OutputOrder(request.stdout)
            for stream, path in enumerate((request.stdout, request.stderr)):
                self.pipes.append(
                    OutputPipe(stream, path, order, request.limits.output_bytes, request.keep_output_bytes)
                )
                self.pipes[-1].give_to(request.uid, request.gid)
        except LaunchError:
            self.close()
            raise

    @property
    def writers(self) -> list[int]:
        """The descriptors that the program gets as its standard output and standard error."""
        return [pipe.writer for pipe in self.pipes]

    def kept(self) -> dict[str, str | None]:
        """Return what was written, a byte a character, by stream; None for what is in its file."""
        kept = [pipe.kept for pipe in self.pipes]
        return {
            name: None if text is None else text.decode("latin-1")
            for name, text in zip(("stdout", "stderr"), kept, strict=True)
        }

    def close_writers(self) -> None:
        """The program has its own copies."""
        for pipe in self.pipes:
            pipe.close_writer()

    def close(self) -> int:
        """The run is over: move what is left. Returns how many bytes could not be written. May be repeated."""
        return sum(pipe.close() for pipe in self.pipes)


class OutputMover:
    """Moves the output of all running programs; `run` is its thread's loop."""

    def __init__(self, log: Callable[[str], None]) -> None:
        """`log` gets a line when output could not be written."""
        self._log = log
        self._poll = select.epoll()
        self._pipes: dict[int, OutputPipe] = {}
        self._new: dict[int, OutputPipe] = {}  # of programs that have just begun; most are over before the next round
        self._young: dict[OutputPipe, None] = {}  # what they have written may be in memory alone
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._is_rung = False
        self._poll.register(self._bell, select.EPOLLIN)
        self._lock = threading.Lock()

    def add(self, output: RunOutput) -> None:
        """Move this output from the next round on, until the program lets go of it or `remove` is called."""
        with self._lock:
            self._new |= {pipe.reader: pipe for pipe in output.pipes}
            if not self._is_rung:
                self._is_rung = True
                os.eventfd_write(self._bell, 1)

    def remove(self, tree: str, output: RunOutput) -> None:
        """The run is over: move what is left, and close everything. From then on nothing is written to the log files."""
        for pipe in output.pipes:
            self._forget(pipe.reader, pipe)
        lost = output.close()
        if lost:
            self._log(f"the last {lost} bytes of output of {tree} could not be written: is the disk full?")

    def run(self) -> None:
        """Move for as long as the process lives."""
        while True:
            most = 0
            for reader, _ in self._poll.poll(_KEPT_S if self._young else None):
                pipe = self._pipes.get(reader)
                if pipe is None:
                    continue
                moved = pipe.move()
                if moved is None:
                    self._forget(reader, pipe)
                elif moved and pipe.spill_at is not None:
                    self._young[pipe] = None
                most = max(most, moved or 0)
            self._spill()
            time.sleep(_SHORT_REST_S if most >= _FLOOD_BYTES else _REST_S)
            self._watch_new()

    def _spill(self) -> None:
        """Have in their files what has been in memory for long enough."""
        now = time.monotonic()
        for pipe in [each for each in self._young if each.spill_at is None or each.spill_at <= now]:
            del self._young[pipe]
            pipe.spill()

    def _watch_new(self) -> None:
        with self._lock:
            if self._is_rung:
                self._is_rung = False
                os.eventfd_read(self._bell)
            for reader, pipe in self._new.items():
                self._pipes[reader] = pipe
                self._poll.register(reader, select.EPOLLIN)
            self._new = {}

    def _forget(self, reader: int, pipe: OutputPipe) -> None:
        with self._lock:  # whoever closes the descriptor does so after it was unregistered; the number is used again
            if self._new.get(reader) is pipe:
                del self._new[reader]
            elif self._pipes.get(reader) is pipe:
                del self._pipes[reader]
                self._poll.unregister(reader)
