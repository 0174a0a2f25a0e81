"""The jobs of one run are written, part by part, and faults of single jobs are told by where the definition says them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from scheduler.documents import Document
from scheduler.errors import GangerError
from scheduler.identifiers import JobId
from scheduler.identity import Caller
from scheduler.jobs import resolve
from scheduler.jobs.entry_faults import EntryError
from scheduler.needs import batch, writing
from scheduler.needs.batch import BatchNeeds
from scheduler.rules.lifecycle.moves import JobStatus
from scheduler.rules.workflow.definition import WorkflowDefinition
from scheduler.rules.workflow.source import DefinitionFaults, DefinitionSource
from scheduler.runtime import Runtime
from scheduler.store import large_batches
from scheduler.store.jobs import submissions
from scheduler.store.jobs.submissions import Project
from scheduler.store.needs import changes
from scheduler.store.workflows import workflows
from scheduler.workflows import checking
from scheduler.workflows.building import StepJob

PART = 10_000
"""Jobs of one transaction. A larger workflow is written in several, and nobody sees it before the last."""


@dataclass(frozen=True, slots=True)
class CheckedWorkflow:
    """A definition that can run: its jobs, parents first, and where each value was written."""

    source: DefinitionSource
    definition: WorkflowDefinition
    jobs: Sequence[StepJob]
    inputs: Document
    text: str


class FaultsByPlace:
    """Turns faults of single jobs into faults of the definition, by the places where they were written."""

    def __init__(self, checked: CheckedWorkflow, first: int = 0) -> None:
        self._checked, self._first = checked, first

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, EntryError):
            raise self._named(error) from None

    def _named(self, error: EntryError) -> GangerError:
        faults = DefinitionFaults(self._checked.source)
        told: set[tuple[str, str]] = set()
        for number, one in sorted(error.errors.items()):
            step = self._checked.jobs[self._first + number].step
            for fault in one.faults:
                if (step, fault.sentence) not in told:
                    told.add((step, fault.sentence))
                    faults.note(f"{step}: {fault.sentence}", "jobs", step, *checking.part_of(fault.field, self._checked.definition.steps[step]))  # fmt: skip
        try:
            faults.raise_all()
        except GangerError as found:
            return found
        return next(iter(error.errors.values()))


class JobWriter:
    """Writes the jobs of one workflow, part by part."""

    def __init__(
        self, rt: Runtime, caller: Caller, project: Project, checked: CheckedWorkflow, told: Mapping[str, str]
    ) -> None:
        self._rt, self._caller, self._project, self._checked, self._told = rt, caller, project, checked, told
        self.workflow_id = 0
        self.is_large = len(checked.jobs) > PART
        self._needs: BatchNeeds = batch.read([one.job for one in checked.jobs])
        self._ids: dict[int, JobId] = {}
        self._groups: dict[str, int] = {}

    def write(self, tx: Connection, numbers: range) -> JobId:
        """Write these jobs; return the id of the first."""
        jobs = self._checked.jobs
        with FaultsByPlace(self._checked, numbers.start):
            prepared = resolve.prepare(tx, self._rt, self._project, [jobs[n].job for n in numbers])
        if self._needs.faults:
            raise next(iter(self._needs.faults.values())).together()
        groups = prepared.groups
        if self.is_large:  # nothing starts before all of it is there
            groups = [replace(group, status=JobStatus.PENDING) for group in groups]
        # A workflow wants to know of each end, for it may be its own.
        rows = [
            replace(
                row,
                environment={**(row.environment or {}), **self._told} or None,
                followers=self._needs.levels.get(n, 1),
            )
            for n, row in zip(numbers, prepared.rows, strict=True)
        ]
        caller = self._caller
        taken = submissions.take_ids(tx, [self._kept(n) for n in numbers])
        for n, own in zip(numbers, taken, strict=True):
            expansion = self._needs.plans.get(n, {}).get("expansion")
            if isinstance(expansion, dict):
                expansion["ids"] = _ranges(own[1:])
        ids = submissions.insert(
            tx,
            self._project.id,
            groups,
            rows,
            caller.token_id,
            caller.name,
            workflow_id=self.workflow_id,
            ids=[own[0] for own in taken],
        )
        self._ids.update(zip(numbers, ids, strict=True))
        faults = writing.write(tx, self._project.id, self._needs, self._ids, numbers, self._groups)
        if faults:
            raise next(iter(faults.values())).together()
        members = [
            (self._ids[n], jobs[n].step, jobs[n].member, jobs[n].allow_failure, jobs[n].is_finally) for n in numbers
        ]
        workflows.insert_jobs(tx, self.workflow_id, members)
        return ids[0]

    def _kept(self, number: int) -> int:
        """Return how many ids a job takes: one, or as many as it may become jobs."""
        expansion = self._checked.jobs[number].job.expansion
        return 1 if expansion is None else int(str(expansion["limit"]))

    def rest(self) -> None:
        """Write what the first transaction has left, and let the workflow be seen."""
        for numbers in self.parts():
            with self._rt.db.begin() as tx, large_batches.of(tx, len(numbers)):
                self.write(tx, numbers)
        with self._rt.db.begin() as tx:
            self.open_up(tx)

    def open_up(self, tx: Connection) -> None:
        """Let a large workflow be seen, all of which is written."""
        roots = [self._ids[n] for n in range(len(self._checked.jobs)) if n not in self._needs.needs]
        parent = workflows.open_up(tx, self.workflow_id)
        changes.tell(tx, roots if parent is None else [*roots, parent])

    @property
    def first(self) -> range:
        """The numbers of the jobs of the first transaction."""
        return range(min(PART, len(self._checked.jobs)))

    def parts(self) -> Iterator[range]:
        """Yield the numbers of the jobs that the first transaction has left, part by part."""
        total = len(self._checked.jobs)
        for start in range(PART, total, PART):
            yield range(start, min(start + PART, total))


def _ranges(ids: Sequence[JobId]) -> list[list[int]]:
    """Return ascending ids as ranges, first and last."""
    ranges: list[list[int]] = []
    for one in ids:
        if ranges and ranges[-1][1] == one - 1:
            ranges[-1][1] = one
        else:
            ranges.append([one, one])
    return ranges
