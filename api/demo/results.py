"""What the demo has seen of its jobs while they ran, and what the checks say of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from api.demo.cases import DemoCase
from ganger import Job
from ganger.documents import JsonObject


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
    explained: JsonObject | None = None
    canceled: bool = False


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What is said of one job, or of all of them together. Without complaints it is as it should be."""

    what: str
    job: Job | None = None
    complaints: list[str] = field(default_factory=list)
    note: str = ""
