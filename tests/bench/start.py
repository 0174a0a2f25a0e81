"""start-up of `import ganger` and of `ganger`, beside the floor: an interpreter that does nothing."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

from tests.bench.figures import figure

ROUNDS = 9
PROGRAMS = {
    "import_ganger": ["-c", "import ganger"],
    "client": ["-c", "from ganger import Client"],
    "version": ["-m", "ganger", "--version"],
    "jobs_help": ["-m", "ganger", "jobs", "--help"],
    "help": ["-m", "ganger", "--help"],
}
"""By the name of their figure. What `client` pays more than `import_ganger` is the HTTP library and the records."""


def main() -> None:
    """Print the cpu time of each program, the least of several rounds, and how much that is above the floor."""
    least = dict.fromkeys(["floor", *PROGRAMS], float("inf"))
    for _ in range(ROUNDS):
        for name, words in {"floor": ["-c", "pass"], **PROGRAMS}.items():
            least[name] = min(least[name], _cpu_s(words))
    floor_s = least.pop("floor")
    figure("start", "floor", floor_s * 1000, "ms of cpu")
    for name, seconds in least.items():
        figure("start", name, seconds * 1000, "ms of cpu", above_floor_ms=round((seconds - floor_s) * 1000, 1))


def _cpu_s(words: list[str]) -> float:
    """Return what one run costs in cpu seconds; the time on the clock would count what else the machine does."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-P", *words], check=True, stdout=subprocess.DEVNULL, env={**os.environ, "NO_COLOR": "1"}
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
