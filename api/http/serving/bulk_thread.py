"""The thread that carries out bulk operations; every process that answers HTTP has one."""

from __future__ import annotations

import threading

import structlog
from sqlalchemy.exc import DBAPIError

from scheduler.jobs import bulk
from scheduler.runtime import Runtime

LOOK_S = 10.0
"""How often an idle process looks for operations that another one left behind."""

log = structlog.get_logger()


class BulkThread:
    """Carries out operations in the background; `wake` makes it look for one at once."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="operations", daemon=True)

    def start(self) -> None:
        """Begin; the thread ends with its process."""
        self._thread.start()

    def wake(self) -> None:
        """Look for work now."""
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                while bulk.step(self._rt):
                    pass
            except DBAPIError as error:
                # The operation is still RUNNING and its row free: the next look goes on where this one stopped.
                log.warning("operations.interrupted", error=str(error.orig))
            except Exception:
                log.exception("operations.failed")
            self._wake.wait(LOOK_S)
