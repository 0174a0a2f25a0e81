"""Records of the demo: its jobs as they were observed while they ran, and the results of the checks."""

from __future__ import annotations

from dataclasses import dataclass, field

from api.demo.cases import DemoCase
from ganger import Job
from ganger.answers import Explanation


@dataclass(slots=True)
class RunningCase:
    """One case under way: its job, its processes as they were seen, and what of them was left when it had ended.

    `most_processes` is the largest number seen at once; `explained` is what the API said of a job that waits.
    """

    case: DemoCase
    job_id: int
    job: Job | None = None
    most_processes: int = 0
    left: list[str] = field(default_factory=list)
    explained: Explanation | None = None
    canceled: bool = False


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of the checks of one job, or of all jobs together. Without complaints everything is as it should be."""

    what: str
    job: Job | None = None
    complaints: list[str] = field(default_factory=list)
    note: str = ""
