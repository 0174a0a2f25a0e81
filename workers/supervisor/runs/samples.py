"""Samples of what runs use of cpus, memory and disk, while they run. One that nobody hears is lost: the next one counts for it.

Two or three files of the kernel are read for a sample, which takes some 50 us.
"""

import json
import time
from typing import Final

from workers.supervisor.runs.run import Run

SAMPLE: Final = '{"ev": "sample"'
"""What each of these events begins with."""

_MOST: Final = 500  # of one run: the longer it runs, the seldomer it is looked at


class RunSamples:
    """Which runs are sampled, how often, and when next. Used by the thread of the run table."""

    def __init__(self) -> None:
        self._every: dict[str, tuple[Run, float]] = {}
        self._due: dict[str, float] = {}

    def begin(self, run: Run, every_s: float | None) -> None:
        """Sample a run from now on; `None` is never."""
        if every_s is not None:
            self._every[run.tree.name] = run, every_s
            self._due[run.tree.name] = run.started + every_s

    def end(self, run: Run) -> None:
        """The run is over."""
        self._every.pop(run.tree.name, None)
        self._due.pop(run.tree.name, None)

    def due(self, now: float) -> list[str]:
        """Return the samples that are due, as JSON; runs whose kind of tree cannot tell have none."""
        found = []
        for name, at in self._due.items():
            if now >= at:
                run, every_s = self._every[name]
                self._due[name] = now + max(every_s, (now - run.started) / _MOST)
                found.append(_sample(run, now))
        return [text for text in found if text is not None]


def _sample(run: Run, now: float) -> str | None:
    cpu_s, mem = run.tree.usage().cpu_s, run.tree.held_mem_mib()
    if cpu_s is None and mem is None:
        return None
    disk = run.disk_usage
    return json.dumps({
        "ev": "sample", "tree": run.tree.name, "phase": run.phase, "at": time.time(), "seconds": round(now - run.started, 3),
        "cpu_s": None if cpu_s is None else round(cpu_s, 3), "mem_mib": None if mem is None else round(mem, 3),
        "disk_mib": None if disk is None or disk.peak is None else round(disk.used / (1 << 20), 3),
    })  # fmt: skip
