#!/usr/bin/env python3
"""Estimate pi on all nodes at once: many small jobs, submitted in one call, their output read back and summed up.

python pi.py [JOBS], beside a running `ganger up`; or GANGER_URL=http://host:8470 GANGER_TOKEN=... python pi.py [JOBS]
"""

from __future__ import annotations

import math
import sys

from ganger import Client, JobRequest

POINTS = 200_000  # per job
DARTS = "BEGIN { srand(seed); for (i = 0; i < n; i++) { x = rand(); y = rand(); if (x * x + y * y <= 1) hits++ } print hits }"


def main(jobs: int) -> int:
    """Return 0 if every job ended well."""
    requests = [
        JobRequest(
            command=["awk", "-v", f"seed={number}", "-v", f"n={POINTS}", DARTS],
            name=f"pi-{number}",
            labels={"example": "pi"},
            cpus_required=0.25,
            mem_required=32,
            timeout=60,
        )
        for number in range(jobs)
    ]
    with Client() as ganger:
        ids = ganger.jobs.submit_many(requests)
        ended = ganger.jobs.wait_all(ids, changed=lambda job: print(f"{job.name} {job.status}"))
        if any(job.status != "COMPLETED" for job in ended.values()):
            return 1
        hits = sum(int(ganger.logs.read(next(ganger.jobs.executions(one)).id, stream="stdout")) for one in ids)
    estimate = 4 * hits / (jobs * POINTS)
    print(f"pi is about {estimate:.4f}, off by {abs(estimate - math.pi):.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10))
