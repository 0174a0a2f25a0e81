"""Why a job waits and what would become of one: answered by the scheduler's own code on a picture of this process.

A process that answers such questions keeps a picture like the leader's, and brings it up to date at each question by
what has changed. The first question after a quiet time reads everything anew, which takes some seconds with a million
waiting jobs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from scheduler.picture import Picture
from scheduler.rules import explain
from scheduler.rules.explanation import Explanation, NeverFits
from scheduler.rules.plan import Plan
from scheduler.rules.shapes import Shape
from scheduler.runtime import Runtime

STALE_S = 300.0
"""After so long without a question it is cheaper to read the queue than all that happened since."""


class Foresight:
    """One per process; its methods may be called from any thread, one is answered at a time."""

    def __init__(self, rt: Runtime, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rt, self._monotonic = rt, monotonic
        self._asking = threading.Lock()
        self._picture: Picture | None = None
        self._asked = 0.0

    def why(self, job_id: int) -> Explanation | None:
        """Say why a job waits; None for one that does not wait to be placed."""
        with self._asking:
            picture = self._fresh()
            if job_id not in picture.queue:
                return None
            return explain.explain(picture.snapshot(), job_id, picture.now)

    def preview(self, shape: Shape) -> tuple[Plan, Explanation]:
        """Say what the next tick would do with a job of this shape submitted now; nothing is written."""
        with self._asking:
            picture = self._fresh()
            return explain.preview(picture.snapshot(), shape, picture.now, self._rt.chance)

    def never_fits(self, shape: Shape) -> NeverFits | None:
        """Say why no node could ever hold a job of this shape; None when some node could."""
        with self._asking:
            return explain.could_ever_fit(shape, self._fresh().nodes)

    def node_name(self, node_id: int) -> str:
        """Return the name of a node that an answer spoke of, its id where it has left meanwhile."""
        picture = self._picture
        return picture.nodes[node_id].name if picture is not None and node_id in picture.nodes else str(node_id)

    def _fresh(self) -> Picture:
        now = self._monotonic()
        if self._picture is None or now - self._asked > STALE_S:
            self._picture = Picture(self._rt.settings)
        self._asked = now
        picture, self._picture = self._picture, None  # in doubt until it has been read
        with self._rt.db.begin() as tx:
            picture.refresh(tx)
        self._picture = picture
        return picture
