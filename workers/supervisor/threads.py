"""Threads that are made for one piece of work, because what they take on for it cannot be undone."""

from _thread import allocate_lock, start_new_thread
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def do(work: Callable[[], T]) -> T:
    """Do this in a thread that ends with it; return what it returns, or raise what it raises."""
    done, ends = allocate_lock(), list[T | BaseException]()
    done.acquire()

    def run() -> None:
        try:
            ends.append(work())
        except BaseException as error:  # noqa: BLE001  it is raised again
            ends.append(error)
        finally:
            done.release()

    start_new_thread(run, ())
    done.acquire()
    (end,) = ends
    if isinstance(end, BaseException):
        raise end
    return end
