"""Writes docs/scheduling-quality.md from the lines of `./run bench quality`, given on standard input."""

import json
import sys
from collections.abc import Iterable, Mapping
from math import exp, log
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scheduling-quality.md"
_POLICIES = ("easy", "ganger", "clairvoyant", "fcfs")
_CLASSES = ("narrow short", "narrow long", "middle short", "middle long", "wide short", "wide long")

_HEAD = """# Scheduling quality

How long jobs wait under Ganger's rules, beside three others: EASY (one reservation, backfill in the order of arrival, time limits taken for
run times), FCFS (no job passes another) and a *clairvoyant* bound: Ganger's rules where every limit is the true run time. The rules are
explained in [scheduling.md](scheduling.md) and [decision 030](decisions/030-order-of-waiting-jobs.md).

This page is generated: `./run bench quality | python -m tests.support.quality_page`. Workloads with a number are made by a generator
(`tests/support/workloads.py`); the number is its seed, and the rules were chosen on other seeds. The traces are those of the folder
that `GANGER_TRACES` names, on one machine of the size that their header gives; figures of three are in decision 030. On single workloads chance
makes some 15 % either way: the means count.

*Slowdown* is the mean bounded slowdown (10 s). *Late* is the share of the jobs with a reservation that started later than
first promised. A job is *wide* if it asks for a fourth of the fleet or more, and *narrow* below a sixteenth; it is *long* if it runs for
more than two hours.
"""


def page(lines: Iterable[str]) -> str:
    """The page, as Markdown. Lines that are not of the bench of quality are left out; of repeated ones the last counts."""
    runs: dict[str, dict[str, dict[str, object]]] = {}
    for line in lines:
        told = json.loads(line)
        if told.get("bench") == "quality":
            runs.setdefault(str(told["workload"]), {})[str(told["policy"])] = told
    full = {name: found for name, found in runs.items() if {"easy", "ganger"} <= found.keys()}
    return "\n".join([_HEAD, *_means(full), "", *_ratios(full), "", *_classes(full), ""])


def _means(runs: Mapping[str, Mapping[str, Mapping[str, object]]]) -> list[str]:
    lines = [
        "## Mean bounded slowdown",
        "",
        "| workload | jobs | EASY | Ganger | clairvoyant | FCFS |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, found in runs.items():
        cells = [f"{_number(found[each], 'slowdown'):.1f}" if each in found else "-" for each in _POLICIES]
        lines.append(f"| {name} | {found['easy']['jobs']} | {' | '.join(cells)} |")
    return lines


def _ratios(runs: Mapping[str, Mapping[str, Mapping[str, object]]]) -> list[str]:
    """Ganger's figures over EASY's, and how promises were kept."""
    lines = [
        "## Ganger over EASY, and promises",
        "",
        "| workload | slowdown | mean wait | longest wait | wide long jobs, mean wait | late | worst |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    slowdowns = []
    for name, found in runs.items():
        ours, easy = found["ganger"], found["easy"]
        slowdowns.append(_ratio(ours, easy, "slowdown"))
        wide = (_class(ours, "wide long"), _class(easy, "wide long"))
        lines.append(
            f"| {name} | {slowdowns[-1]:.2f} | {_ratio(ours, easy, 'mean_wait_s'):.2f} | {_ratio(ours, easy, 'max_wait_s'):.2f} | "
            f"{wide[0] / wide[1]:.2f} | {_number(ours, 'late_share'):.1%} | {_number(ours, 'max_late_s') / 3600:.1f} h |"
        )
    mean = exp(sum(map(log, slowdowns)) / len(slowdowns))
    return [*lines, "", f"Geometric mean of the slowdown over all: {mean:.2f} of EASY's."]


def _classes(runs: Mapping[str, Mapping[str, Mapping[str, object]]]) -> list[str]:
    lines = [
        "## Mean waits by class of job, hours: EASY, Ganger",
        "",
        f"| workload | {' | '.join(_CLASSES)} |",
        f"|---|{'--:|' * len(_CLASSES)}",
    ]
    for name, found in runs.items():
        cells = [
            f"{_class(found['easy'], each) / 3600:.1f}, {_class(found['ganger'], each) / 3600:.1f}" for each in _CLASSES
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _number(run: Mapping[str, object], name: str) -> float:
    return float(str(run[name]))


def _ratio(ours: Mapping[str, object], theirs: Mapping[str, object], name: str) -> float:
    return max(1.0, _number(ours, name)) / max(1.0, _number(theirs, name))


def _class(run: Mapping[str, object], name: str) -> float:
    """The mean wait of a class in seconds, one at least."""
    classes = run["classes"]
    found = classes.get(name) if isinstance(classes, dict) else None
    return max(1.0, float(found["mean_wait_s"])) if found else 1.0


if __name__ == "__main__":
    PAGE.write_text(page(sys.stdin), encoding="utf-8")
