"""Pools of an installation over HTTP: change, look, wait; and an operator who changes his mind all the time."""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Any

import psutil

from tests.support.installation import Installation

SMALL = {"cpus": 1, "mem": 256, "disk": 256}


def change(up: Installation, pool: str, **facts: Any) -> dict[str, Any]:
    answer = up.api.patch(f"/pools/{pool}/", json=facts)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def look(up: Installation, pool: str) -> dict[str, Any]:
    answer = up.api.get(f"/pools/{pool}/")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def nodes(up: Installation, pool: str) -> list[dict[str, Any]]:
    listed = up.api.get("/nodes/", params={"pool": pool, "state": ["READY", "LOST"]}).json()["results"]
    return list(listed)


def ready(up: Installation, pool: str, count: int, within_s: float = 60) -> float:
    """Wait for so many nodes; return how long it took."""
    began = time.monotonic()
    up.until(lambda: look(up, pool)["nodes"] == {"total": count, "ready": count, "draining": 0, "silent": 0} or None,
             f"{count} nodes in {pool}", within_s)  # fmt: skip
    return time.monotonic() - began


def local_nodes(up: Installation, pool: str) -> list[str]:
    folder = up.root / "pools" / pool
    return [path.name for path in folder.iterdir() if not path.name.startswith(".")] if folder.exists() else []


def submit(up: Installation, pool: str, count: int, *argv: str, **facts: Any) -> list[int]:
    job = {
        "command": list(argv),
        "cpus_required": 0.5,
        "mem_required": 16,
        "disk_out_required": 1,
        "pool": pool,
        **facts,
    }
    answer = up.api.post("/jobs/", json=[job] * count)
    assert answer.status_code == 201, answer.text
    return list(answer.json()["job_ids"])


def statuses(up: Installation, ids: list[int]) -> Counter[str]:
    found: Counter[str] = Counter()
    for first in range(0, len(ids), 100):
        asked: dict[str, list[int] | int] = {"job_id": ids[first : first + 100], "page_size": 1000}
        found.update(job["status"] for job in up.api.get("/jobs/", params=asked).json()["results"])
    return found


def all_completed(up: Installation, ids: list[int], within_s: float = 120) -> None:
    up.until(lambda: statuses(up, ids)["COMPLETED"] == len(ids) or None, f"{len(ids)} jobs to complete", within_s)


def executions(up: Installation, ids: list[int]) -> Counter[str]:
    return Counter(execution["status"] for job_id in ids for execution in up.job(job_id)["job_exes"])


def tries(up: Installation, ids: list[int]) -> Counter[int]:
    """Return how many of these jobs were tried how often."""
    found: Counter[int] = Counter()
    for first in range(0, len(ids), 100):
        asked: dict[str, list[int] | int] = {"job_id": ids[first : first + 100], "page_size": 1000}
        found.update(job["num_exes"] for job in up.api.get("/jobs/", params=asked).json()["results"])
    return found


def storm(up: Installation, pool: str, *, changes: int, seed: int, most: int = 4) -> list[int]:
    """Ask for one random size after the other, some each second, and submit jobs of at most one try; return their ids.

    Nobody waits for anything: nodes are asked for and sent away while they start, leave, or are cleared away.
    """
    chance, ids, size = random.Random(seed), list[int](), -1
    for _ in range(changes):
        size = chance.choice([n for n in range(most + 1) if n != size])
        change(up, pool, size=size)
        if chance.random() < 0.3:
            ids += submit(up, pool, chance.randint(1, 3), "sleep", f"{chance.uniform(0.1, 1.5):.2f}", max_tries=1)
        time.sleep(chance.uniform(0.0, 0.6))  # the time between changes is what is tried
    return ids


def agents(up: Installation, pool: str) -> list[psutil.Process]:
    return [p for p in up.processes("agent") if f"--pool {pool} " in " ".join(p.cmdline()) + " "]


def left(up: Installation, pool: str) -> list[str]:
    """Return what still runs of the pool's nodes: agents and supervisors by their folders, consumers without an agent."""
    own = [line for process in psutil.process_iter() if f"-{pool}-" in (line := _line(process))]
    orphans = len(up.processes("consumer")) - len(up.processes("agent"))
    return own + ["a consumer without an agent"] * orphans


def nothing_left(up: Installation, pool: str) -> bool:
    """Tell that nothing runs any more of the pool's nodes; raises AssertionError with what does."""
    assert left(up, pool) == []
    return True


def _line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
