"""Threads that are made for work whose traces cannot be undone: one piece of it, or one after another of the same kind."""

import errno
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable
from typing import Any, Final, TypeVar

T = TypeVar("T")
_BEGIN_S: Final = 5.0  # a thread without memory for its very first steps ends without a word


class Worker:
    """A thread that does one piece of work after another, each while somebody waits for it. Used by one other thread."""

    def __init__(self) -> None:
        """Start the thread. Raises `OSError` where the kernel refuses one, as it does when memory is short."""
        self._next: Callable[[], Any] | None = None  # Any: `do` knows what its work returns
        self._end: Any = None
        self._is_error = self._has_begun = False
        self._given, self._done = allocate_lock(), allocate_lock()
        self._given.acquire()
        self._done.acquire()
        try:
            start_new_thread(self._run, ())
        except RuntimeError as error:  # which says neither why nor that it was the kernel
            raise OSError(errno.EAGAIN, "no thread can be started") from error

    def do(self, work: Callable[[], T]) -> T:
        """Do this in the thread; return what it returns, or raise what it raises, or `OSError` if the thread never began."""
        self._next = work
        self._given.release()
        while not self._done.acquire(timeout=_BEGIN_S):
            if not self._has_begun:
                self._next = None
                self._given.acquire(blocking=False)  # as `end` expects it
                raise OSError(errno.EAGAIN, "no thread can be started")
        end, self._end = self._end, None
        if self._is_error:
            self._is_error = False
            raise end
        result: T = end
        return result

    def end(self) -> None:
        """End the thread, soon. It does nothing more."""
        self._next = None
        self._given.release()

    def _run(self) -> None:
        self._has_begun = True
        while True:
            self._given.acquire()
            if self._next is None:
                return
            try:
                self._end = self._next()
            except BaseException as error:  # noqa: BLE001  it is raised again
                self._end, self._is_error = error, True
            self._next = None
            self._done.release()


def do(work: Callable[[], T]) -> T:
    """Do this in a thread that ends with it; return what it returns, or raise what it raises, or `OSError` without a thread."""
    worker = Worker()
    try:
        return worker.do(work)
    finally:
        worker.end()
