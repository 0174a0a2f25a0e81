"""Scheduling quality: every trace and generated workload under FCFS, EASY, the live rules and a clairvoyant bound.

The lines are what `python -m tests.support.quality_page` makes docs/scheduling-quality.md of. The clairvoyant bound is the live
rules with limits that are the true run times: nothing is predicted wrongly there. Generated workloads come from seeds that
no rule was chosen on.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from scheduler.identifiers import NodeId
from scheduler.replay.policies import POLICIES
from scheduler.replay.replay import replay
from scheduler.replay.report import summarise
from scheduler.replay.trace import TraceJob
from scheduler.rules.cluster.nodes import Node
from scheduler.rules.cluster.resources import Resources
from tests.bench.replay import FOLDER, told, traces
from tests.support.workloads import FAMILIES, FLEETS, workload

JUDGED_SEEDS = (101,)
JOBS = 1000
CLAIRVOYANT = "clairvoyant"


def cases(names: Sequence[str]) -> Iterator[tuple[str, Sequence[TraceJob], Sequence[Node]]]:
    """Name, jobs and nodes of each workload, or of those named."""
    for family in (*FAMILIES, *FLEETS):
        for seed in JUDGED_SEEDS:
            made = workload(family, seed, JOBS)
            if not names or family.name in names:
                yield made.name, made.jobs, made.nodes
    if any(FOLDER.glob("*.swf")):
        for path, processors, jobs in traces():
            if not names or path.stem in names:
                yield path.stem, jobs, [Node(NodeId(1), Resources.of(cpus=processors))]


def measure(name: str, jobs: Sequence[TraceJob], nodes: Sequence[Node], policy: str) -> None:
    """Replay one workload under one policy and print the figures."""
    rules = POLICIES["ganger" if policy == CLAIRVOYANT else policy]
    if policy == CLAIRVOYANT:
        jobs, rules = [replace(job, timeout_s=job.run_s) for job in jobs], replace(rules, predict=False)
    began = time.perf_counter()
    summary = summarise(policy, replay(jobs, nodes, rules))
    figures = {
        "bench": "quality",
        "workload": name,
        "policy": policy,
        "jobs": summary.jobs,
        "slowdown": round(summary.mean_bounded_slowdown or 0.0, 3),
        "mean_wait_s": round(summary.mean_wait_s or 0.0),
        "max_wait_s": round(summary.max_wait_s or 0.0),
        "in_use": round(summary.utilisation or 0.0, 4),
        **told(summary),
        "seconds": round(time.perf_counter() - began, 1),
    }
    sys.stdout.write(json.dumps(figures) + "\n")
    sys.stdout.flush()


def main(names: Sequence[str] = ()) -> None:
    """Every workload under every policy."""
    for name, jobs, nodes in cases(names):
        for policy in ("easy", "ganger", CLAIRVOYANT, "fcfs"):
            measure(name, jobs, nodes, policy)


if __name__ == "__main__":
    main(sys.argv[1:])
