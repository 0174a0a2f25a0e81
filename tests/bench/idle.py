"""An idle installation: share of a core, statements a second, memory by part; and what a waiting job holds.

The whole embedded stack, as `ganger up` starts it, with its node. Memory is PSS, so what processes share counts once.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import psycopg

from tests.bench.figures import figure
from tests.bench.path import NORMAL
from tests.support.installation import Installation
from tests.support.servers import state_folder

SETTLE_S, WATCH_S = 20.0, 30.0
WAITING = 20_000
_PARTS = ("ganger api", "ganger scheduler", "ganger worker", "ganger up", "postgres", "valkey", "celery", "supervisor")


def main() -> None:
    """Start an installation, let it settle, and watch it do nothing."""
    with state_folder() as root:
        installation = Installation(root, reads_answers=False, cpus=2, **NORMAL, GANGER_SUSPECT_S="10").start()
        try:
            time.sleep(SETTLE_S)  # nothing tells that nothing happens any more
            _watch(installation)
            _waiting(installation)
        finally:
            installation.stop()


def _watch(installation: Installation) -> None:
    url = _database(installation)
    before, cpu = _transactions(url), _cpu(installation)
    time.sleep(WATCH_S)  # likewise
    spent = _cpu(installation) - cpu
    figure("idle", "cpu", sum(spent.values()) / WATCH_S * 100, "% of a core")
    for part, seconds in spent.items():
        figure("idle", f"cpu.{part}", seconds / WATCH_S * 100, "% of a core")
    figure("idle", "transactions", (_transactions(url) - before) / WATCH_S, "transactions/s")
    memory = _memory(installation)
    figure("idle", "memory", sum(memory.values()), "MB PSS")
    for part, mb in memory.items():
        figure("idle", f"memory.{part}", mb, "MB PSS")


def _waiting(installation: Installation) -> None:
    size = "SELECT sum(pg_total_relation_size(c)) FROM unnest(ARRAY['jobs', 'job_specs']::regclass[]) AS c"
    with psycopg.connect(_database(installation), autocommit=True) as db:
        before = db.execute(size).fetchone()[0]  # type: ignore[index]  # it is one row
        body: list[dict[str, Any]] = [{"command": ["/bin/true"], "held": True}] * 10_000
        for _ in range(WAITING // 10_000):
            installation.api.post("/jobs/", json=body).raise_for_status()
        after = db.execute(size).fetchone()[0]  # type: ignore[index]  # likewise
    figure("idle", "waiting-job", float(after - before) / WAITING, "bytes of the database", n=WAITING)


def _database(installation: Installation) -> str:
    """Return the address that the installation's own scheduler was given."""
    environment = installation.processes("scheduler")[0].environ()
    return str(environment["GANGER_DATABASE_URL"])


def _transactions(url: str) -> int:
    with psycopg.connect(url, autocommit=True) as db:
        row = db.execute("SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database").fetchone()
        return int(row[0])  # type: ignore[index]  # it is one row


def _processes(installation: Installation) -> dict[int, str]:
    found = {}
    for process in psutil.process_iter():
        try:
            mine = f"GANGER_UP={installation.root}" in Path(f"/proc/{process.pid}/environ").read_text(errors="replace")
            words = " ".join(process.cmdline())
        except (OSError, psutil.Error):
            continue
        if mine:
            found[process.pid] = next((part for part in _PARTS if part in words), "other").removeprefix("ganger ")
    return found


def _cpu(installation: Installation) -> Counter[str]:
    spent: Counter[str] = Counter()
    for pid, part in _processes(installation).items():
        spent[part] += sum(psutil.Process(pid).cpu_times()[:4])
    return spent


def _memory(installation: Installation) -> Counter[str]:
    used: Counter[str] = Counter()
    for pid, part in _processes(installation).items():
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                used[part] += int(line.split()[1]) / 1024  # type: ignore[assignment]  # likewise
    return used


if __name__ == "__main__":
    main()
