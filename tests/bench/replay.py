"""Quality of placement: traces replayed under the live default and under EASY, compared as ratios of one run.

Traces are the *.swf files in the folder that GANGER_TRACES names (default: shared/traces beside the project), each on one
machine of the size its header gives; without any, a made-up one.
"""

import json
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from scheduler.rules.nodes import Node
from scheduler.rules.resources import Resources
from scheduler.simulation.policies import POLICIES
from scheduler.simulation.replay import replay
from scheduler.simulation.report import Summary, summarise
from scheduler.simulation.trace import TraceJob, jobs_of, machine_size, read_swf

MADE_UP_JOBS = 4000
BARS = {"slowdown": 0.5, "longest_wait": 1.5}


def traces() -> Iterator[tuple[str, int, list[TraceJob]]]:
    """Name, processors and jobs of each trace."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "traces"
    paths = sorted(Path(os.environ.get("GANGER_TRACES", beside)).glob("*.swf"))
    for path in paths:
        lines = path.read_text(encoding="utf-8").splitlines()
        processors = machine_size(lines)
        if processors is not None:
            yield path.name, processors, jobs_of(read_swf(lines, processors))
    if not paths:
        yield "made-up", 128, made_up(random.Random(1))


def made_up(chance: random.Random) -> list[TraceJob]:
    """Twenty users, each with a usual length of job and a habit of asking for too long a limit; a busy machine of 128 cpus."""
    usual = {user: chance.uniform(3, 10) for user in range(20)}
    jobs, now = [], 0.0
    for number in range(1, MADE_UP_JOBS + 1):
        now += chance.expovariate(1 / 620)
        user = chance.randrange(20)
        run_s = max(1.0, chance.lognormvariate(usual[user], 0.7))
        cpus = 2 ** chance.randint(0, 6)
        limit = max(run_s, chance.choice([3600.0, 14_400.0, 86_400.0]))
        jobs.append(TraceJob(number, now, run_s, Resources.of(cpus=cpus), limit, kind=(user,)))
    return jobs


def run(jobs: list[TraceJob], processors: int, policy: str, trace: str) -> Summary:
    """Replay on one machine that has all the processors, and say what came of it."""
    started = time.perf_counter()
    outcome = replay(jobs, [Node(1, Resources.of(cpus=processors))], POLICIES[policy])
    summary = summarise(policy, outcome)
    say(
        bench="replay",
        trace=trace,
        policy=policy,
        jobs=summary.jobs,
        mean_bounded_slowdown=round(summary.mean_bounded_slowdown, 3),
        mean_wait_s=round(summary.mean_wait_s, 1),
        max_wait_s=round(summary.max_wait_s),
        utilisation=round(summary.utilisation, 4),
        prediction_error=round(summary.prediction_error, 3),
        seconds=round(time.perf_counter() - started, 1),
    )
    return summary


def compare(trace: str, processors: int, jobs: list[TraceJob]) -> None:
    """The live default against EASY on one trace."""
    easy, ours = (run(jobs, processors, policy, trace) for policy in ("easy", "ganger"))
    ratios = {
        "slowdown": ours.mean_bounded_slowdown / easy.mean_bounded_slowdown,
        "longest_wait": ours.max_wait_s / max(easy.max_wait_s, 1.0),
    }
    for name, ratio in ratios.items():
        bar = BARS[name]
        say(bench=f"replay.{name}", trace=trace, to_easy=round(ratio, 3), bar=f"<= {bar}", held=ratio <= bar)


def say(**figures: object) -> None:
    """One JSON line, at once: a replay takes a while."""
    sys.stdout.write(json.dumps(figures) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Compare on every trace there is."""
    for trace, processors, jobs in traces():
        compare(trace, processors, jobs)


if __name__ == "__main__":
    main()
