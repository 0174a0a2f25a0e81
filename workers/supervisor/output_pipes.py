"""Programs write their output into pipes; the supervisor moves it into log files and holds these to their size.

A program may open its own output again by name, as `/dev/stdout` or `/proc/self/fd/1`: shells do so for `> /dev/stdout`,
and `tee /dev/stderr` does. If the output were a file, opening it again would cut it, and two positions in one file would
overwrite each other. A pipe has neither length nor position: nothing that was written vanishes, and the order stays.

One thread moves the output of all runs. It rests after each round, so that programs which write little cost few
awakenings. A flood gets a larger pipe and shorter rests, so that its program is not held up. What is beyond the cap is
discarded inside the kernel; the length of the log file still tells how much was written.
"""

import contextlib
import errno
import fcntl
import functools
import os
import select
import stat
import threading
import time
from collections.abc import Callable
from typing import Final

from workers.supervisor.request import RunRequest
from workers.supervisor.spawn import LaunchError

_FILE_FLAGS: Final = (
    # Non-blocking, so that a FIFO in the file's place can't hold up the supervisor; it is refused afterwards.
    os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
)
_PIECE_BYTES: Final = 64 << 10  # the size of a new pipe
_WIDE_BYTES: Final = 1 << 20  # of a flood's pipe: the most that users other than root may ask for
_FLOOD_BYTES: Final = 32 << 10  # moved at once from one pipe
_REST_S: Final = 0.010
_SHORT_REST_S: Final = 0.001
_LAST_ROUNDS: Final = 2 * _WIDE_BYTES // _PIECE_BYTES  # empty any pipe, even if somebody outside the tree still writes


class OutputPipe:
    """The pipe of one output stream of one run, and the log file behind it. Used by two threads."""

    def __init__(self, path: str, most_bytes: int | None) -> None:
        """Open both; what is in the file already stays. Raises LaunchError."""
        self._file = _open_log(path)
        try:
            self.reader, self.writer = os.pipe()
        except OSError as error:
            os.close(self._file)
            raise LaunchError(error.errno, f"no pipe for its output: {error.strerror}") from error
        os.set_blocking(self.reader, False)
        self._length = os.lseek(self._file, 0, os.SEEK_END)
        self._most = float("inf") if most_bytes is None else most_bytes
        self._unwritten = b""  # read from the pipe, and refused by the file so far
        self._discarded = 0
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

    def move(self) -> int | None:
        """Move at most one pipe full into the file. Returns the number of bytes, or None when no more can come."""
        with self._lock:
            if self.reader < 0:
                return None
            if not self._write():
                return 0
            try:
                moved = self._discard() if self._length >= self._most else self._copy()
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
            self._show_discarded()
            os.close(self.reader)
            os.close(self._file)
            self.reader = self._file = -1
            return len(self._unwritten)

    def _copy(self) -> int:
        piece = os.read(self.reader, _WIDE_BYTES if self._is_wide else _PIECE_BYTES)
        room = self._most - self._length
        self._unwritten = piece if len(piece) <= room else piece[: int(room)]
        self._write()
        if len(piece) > room:
            self._count_discarded(len(piece) - int(room))
        return len(piece)

    def _write(self) -> bool:
        """Write what the file has not got yet. False if it can't be written now: the disk is full, or a program is being started.

        While a program is started, the whole process has that program's limit on the size of a file.
        """
        while self._unwritten:
            try:
                written = os.write(self._file, self._unwritten)
            except OSError:
                return False
            self._length += written
            self._unwritten = self._unwritten[written:]
        return True

    def _discard(self) -> int:
        moved = os.splice(self.reader, _null(), _WIDE_BYTES, flags=os.SPLICE_F_NONBLOCK)
        self._count_discarded(moved)
        return moved

    def _count_discarded(self, size: int) -> None:
        first = not self._discarded
        self._discarded += size
        if first:
            self._show_discarded()

    def _show_discarded(self) -> None:
        """Make the file as long as all that was written. The part beyond the cap takes no disk and reads as zeros."""
        if self._discarded and not self._unwritten:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._length + self._discarded)


class RunOutput:
    """The standard output and standard error of one run."""

    def __init__(self, request: RunRequest) -> None:
        """Open log files and pipes. Raises LaunchError."""
        self.pipes: list[OutputPipe] = []
        try:
            for path in (request.stdout, request.stderr):
                self.pipes.append(OutputPipe(path, request.limits.output_bytes))
                self.pipes[-1].give_to(request.uid, request.gid)
        except LaunchError:
            self.close()
            raise

    @property
    def writers(self) -> list[int]:
        """The descriptors that the program gets as its standard output and standard error."""
        return [pipe.writer for pipe in self.pipes]

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
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._is_rung = False
        self._poll.register(self._bell, select.EPOLLIN)
        self._lock = threading.Lock()
        _null()  # opened now: later this process may have a program's limits

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
            for reader, _ in self._poll.poll():
                pipe = self._pipes.get(reader)
                if pipe is None:
                    continue
                moved = pipe.move()
                if moved is None:
                    self._forget(reader, pipe)
                most = max(most, moved or 0)
            time.sleep(_SHORT_REST_S if most >= _FLOOD_BYTES else _REST_S)
            self._watch_new()

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


def _open_log(path: str) -> int:
    """Open a log file for writing. Its folder need not be the job's user's, nor need the file."""
    try:
        descriptor = os.open(path, _FILE_FLAGS, 0o600)
    except OSError as error:
        raise LaunchError(error.errno, f"{path}: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise LaunchError(errno.EINVAL, f"{path}: not a plain file")
    return descriptor


@functools.cache
def _null() -> int:
    return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
