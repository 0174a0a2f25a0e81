"""Quality of placement: traces replayed under the live default and under EASY, compared as ratios of one run.

Traces are the *.swf files in the folder that GANGER_TRACES names (default: shared/traces beside the project), each on one
machine of the size its header gives; without any, a made-up one. Policy `easy` itself is held against an independent
program, where there is one: GANGER_EASY_REFERENCE, or tools/easy_reference.py beside the traces' folder.
"""

import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from scheduler.identifiers import NodeId
from scheduler.replay.policies import POLICIES
from scheduler.replay.replay import replay
from scheduler.replay.report import ReplaySummary, summarise
from scheduler.replay.trace import TraceJob, jobs_of, machine_size, read_swf
from scheduler.rules.cluster.nodes import Node
from scheduler.rules.cluster.resources import Resources

MADE_UP_JOBS = 4000
BARS = {"slowdown": 0.5, "longest_wait": 1.5, "wide_long_wait": 1.2}
LATE = 0.05
"""The share of the jobs with a reservation that may start later than first promised."""

FOLDER = Path(os.environ.get("GANGER_TRACES", Path(__file__).resolve().parents[3] / "shared" / "traces"))
REFERENCE = Path(os.environ.get("GANGER_EASY_REFERENCE", FOLDER.parent / "tools" / "easy_reference.py"))
OFF = 0.02
"""How far policy `easy` may be from the reference, as a fraction of its mean bounded slowdown."""


def traces() -> Iterator[tuple[Path, int, list[TraceJob]]]:
    """Where each trace is, processors and jobs."""
    paths = sorted(FOLDER.glob("*.swf"))
    for path in paths:
        lines = path.read_text(encoding="utf-8").splitlines()
        processors = machine_size(lines)
        if processors is not None:
            yield path, processors, jobs_of(read_swf(lines, processors))
    if not paths:
        yield Path("made-up"), 128, made_up(random.Random(1))


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


def known(figure: float | None) -> float:
    """Return a figure of a replay in which jobs ran."""
    assert figure is not None
    return figure


def run(jobs: list[TraceJob], processors: int, policy: str, trace: str) -> ReplaySummary:
    """Replay on one machine that has all the processors, and say what came of it."""
    started = time.perf_counter()
    outcome = replay(jobs, [Node(NodeId(1), Resources.of(cpus=processors))], POLICIES[policy])
    summary = summarise(policy, outcome)
    say(
        bench="replay",
        trace=trace,
        policy=policy,
        jobs=summary.jobs,
        mean_bounded_slowdown=round(known(summary.mean_bounded_slowdown), 3),
        mean_wait_s=round(known(summary.mean_wait_s), 1),
        max_wait_s=round(known(summary.max_wait_s)),
        utilisation=round(known(summary.utilisation), 4),
        prediction_error=round(known(summary.prediction_error), 3),
        **told(summary),
        seconds=round(time.perf_counter() - started, 1),
    )
    return summary


def told(summary: ReplaySummary) -> dict[str, object]:
    """How promises were kept, and the waits by class of job."""
    kept = summary.promises
    return {
        "reserved": kept.jobs,
        "late_share": round(kept.late_share, 4),
        "mean_late_s": round(kept.mean_late_s),
        "max_late_s": round(kept.max_late_s),
        "classes": {
            each.name: {
                "jobs": each.jobs,
                "mean_wait_s": round(each.mean_wait_s),
                "max_wait_s": round(each.max_wait_s),
                "slowdown": round(each.mean_bounded_slowdown, 2),
            }
            for each in summary.classes
        },
    }


def wide_long_wait(summary: ReplaySummary) -> float:
    """The mean wait of wide long jobs, one second at least; the same for all policies where there are none."""
    return max(1.0, next((each.mean_wait_s for each in summary.classes if each.name == "wide long"), 1.0))


def compare(path: Path, processors: int, jobs: list[TraceJob]) -> None:
    """EASY against the reference, and the live default against EASY, on one trace."""
    trace = path.name
    easy, ours = (run(jobs, processors, policy, trace) for policy in ("easy", "ganger"))
    check(path, processors, easy)
    ratios = {
        "slowdown": known(ours.mean_bounded_slowdown) / known(easy.mean_bounded_slowdown),
        "longest_wait": known(ours.max_wait_s) / max(known(easy.max_wait_s), 1.0),
        "wide_long_wait": wide_long_wait(ours) / wide_long_wait(easy),
    }
    for name, ratio in ratios.items():
        bar = BARS[name]
        say(bench=f"replay.{name}", trace=trace, to_easy=round(ratio, 3), bar=f"<= {bar}", held=ratio <= bar)
    late = ours.promises.late_share
    say(bench="replay.late", trace=trace, share=round(late, 4), bar=f"< {LATE}", held=late < LATE)


def check(path: Path, processors: int, easy: ReplaySummary) -> None:
    """How far our EASY is from somebody else's."""
    facts = {"bench": "replay.easy", "trace": path.name, "ours": round(known(easy.mean_bounded_slowdown), 3)}
    if not path.is_file() or not REFERENCE.is_file():
        missing = "no reference program (GANGER_EASY_REFERENCE)" if path.is_file() else "no trace"
        say(**facts, reference=None, not_measured=missing)
        return
    printed = subprocess.run(
        [sys.executable, REFERENCE, path, str(processors), "easy"], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"jobs (\d+) mean bsld ([\d.]+)", printed)
    if found is None:
        raise RuntimeError(f"the reference program says {printed!r}")
    theirs = float(found[2])
    off = abs(known(easy.mean_bounded_slowdown) / theirs - 1)
    alike = int(found[1]) == easy.jobs
    say(**facts, reference=theirs, off=round(off, 5), same_jobs=alike, bar=f"<= {OFF}", held=alike and off <= OFF)


def say(**figures: object) -> None:
    """One JSON line, at once: a replay takes a while."""
    sys.stdout.write(json.dumps(figures) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Compare on every trace there is."""
    for path, processors, jobs in traces():
        compare(path, processors, jobs)


if __name__ == "__main__":
    main()
