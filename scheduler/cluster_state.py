"""The cluster state: queue, nodes and running executions in memory, read once and then kept up to date with what changed.

The cluster state may be out of date at any moment (somebody cancels, a node is paused): a plan that is made from it is
checked again where it is committed. After an error or a change of leader it is thrown away and read again.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import inf

import numpy as np
from sqlalchemy import Connection

from scheduler.identifiers import ExecutionId, JobId, ShapeId
from scheduler.rules.cluster import fairshare
from scheduler.rules.cluster.nodes import Nodes
from scheduler.rules.cluster.plan import CarriedReservation, Plan, Snapshot
from scheduler.rules.cluster.policy import Mode, Packing, Policy, Quota
from scheduler.rules.cluster.prediction import Predictor
from scheduler.rules.cluster.queue import Queue
from scheduler.rules.cluster.running import ActiveExecution, Running
from scheduler.rules.lifecycle.moves import ExecutionStatus, JobStatus
from scheduler.rules.placement.contention import contests
from scheduler.settings import Settings
from scheduler.store.leader import cluster_state as store
from scheduler.store.leader.cluster_rows import (
    ExecutionState,
    LimitedType,
    NodeStateRow,
    PoolPolicy,
    ProjectAccount,
    QueuedJob,
    ShareAccount,
)
from scheduler.store.leader.conversion import node_of, resources_of, shape_of

_HISTORY = 20_000
"""Completed executions that a new predictor learns from."""


class ClusterState:
    """Queue, nodes, running executions, policy and predictor, as of `now` (the database's clock, epoch seconds).

    `version` changes with every refresh that found a change.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.policy = Policy(
            reservations=settings.reservations, preemption=settings.preemption, ahead_s=settings.ahead_s
        )
        self.now = 0.0
        self.version = 0
        self.carried: tuple[CarriedReservation, ...] = ()
        self._usage: dict[int, float] = {}
        self._lags: dict[int, float] = {}
        self._mark: store.ChangeWatermark | None = None
        self._clear()

    def refresh(self, tx: Connection) -> None:
        """Bring the cluster state up to date. The first call, and the first after a restart of the database, reads everything."""
        since = self._mark
        found = None if since is None else store.changes(tx, since)
        if since is None or found is None or since.life != found[0].life:
            mark = store.watermark(tx)
            self._clear()
            self._read_all(tx)
            self.reread_policy(tx)
        else:
            mark, changes = found
            self._take_changes(tx, since, changes)
            if changes.policy:
                self.reread_policy(tx)
        # A leader of an earlier release, which may run until it is stopped, writes another form.
        known = (claim for claim in mark.claims if len(claim) == 5)  # noqa: PLR2004
        carried = tuple(CarriedReservation(job, shape, tuple(nodes), *times) for job, shape, nodes, *times in known)
        if carried != self.carried:
            self.version += 1
            self.carried = carried
        switched = _switched(self.policy, self._settings, mark)
        if switched != self.policy:
            self.version += 1
            self.policy = switched
        self.nodes.sort_rows()
        self._mark, self.now = mark, mark.now

    @property
    def is_read(self) -> bool:
        """Whether everything was read once, so that a refresh reads only what changed."""
        return self._mark is not None

    @property
    def needs_changed(self) -> bool:
        """Whether the last refresh saw something for the resolver to do."""
        return self._mark is not None and self._mark.needs_changed

    def snapshot(self) -> Snapshot:
        """Return the snapshot for `place` and `explain`. It shares its parts with this state: use it before the next refresh."""
        return Snapshot(self.nodes, self.queue, self.running, self.policy, self.predictor, self.carried)

    def chance(self) -> Callable[[], float]:
        """Return the source of chance for a plan of this moment; see `chance_of`."""
        return chance_of(self.running)

    def reread_policy(self, tx: Connection) -> None:
        """Read again the settings of operators and the recent usage of projects."""
        self.version += 1
        projects = store.projects(tx)
        self._usage = {project.id: project.usage for project in projects}
        self._lags = {project.id: project.lag_s for project in projects}
        self.policy = _limited(self.policy, projects, store.limited_types(tx), store.pools(tx))

    def reread(self, tx: Connection, job_ids: Sequence[JobId]) -> None:
        """Read again jobs that could not be placed as planned: they may not be waiting any more."""
        for job_id in job_ids:
            self.queue.discard(job_id)
        self._update_queue(tx, store.jobs_by_id(tx, job_ids))

    def started(self, run: ActiveExecution) -> None:
        """Take over a placement that was committed: the job waits no more, and the node has less room."""
        self.queue.discard(run.job_id)
        self.nodes.allocate(run.node_id, run.resources)
        self.running.add(run)

    def stopping(self, execution_ids: Iterable[ExecutionId]) -> None:
        """Mark executions that were told to stop, so that the next plan does not stop others in their place."""
        for execution_id in execution_ids:
            self.running.add(dataclasses.replace(self.running[execution_id], stopping=True))

    def account(self, plan: Plan, elapsed_s: float) -> dict[int, ShareAccount]:
        """Account for `elapsed_s` seconds of what projects hold now and of who waits by the last plan; return all accounts."""
        fleet = self.nodes.total(self.nodes.present())
        shares = {each: fairshare.share_of(held.room, fleet) for each, held in self.running.by_project().items()}
        length_s = partial(self.running.length_s, fleet)
        rivals = contests(self.snapshot(), plan)
        lags = fairshare.accrue(self._lags, shares, self.policy.weights, rivals, length_s, elapsed_s)
        self._lags = {each: lag.seconds for each, lag in lags.items()}
        self._usage = {
            each: fairshare.decayed(self._usage.get(each, 0.0), shares.get(each, 0.0), elapsed_s)
            for each in self._usage.keys() | shares.keys()
        }
        self.policy = dataclasses.replace(self.policy, credits={each: lag.credit for each, lag in lags.items()})
        return {
            each: ShareAccount(self._usage.get(each, 0.0), *lags.get(each, fairshare.Lag()))
            for each in self._usage.keys() | lags.keys()
        }

    def _clear(self) -> None:
        self.queue, self.nodes, self.running, self.predictor = Queue(), Nodes(), Running(), Predictor()

    def _read_all(self, tx: Connection) -> None:
        store.read_at_leisure(tx)
        for row in store.nodes(tx):
            self.nodes.upsert(node_of(row))
        for execution in store.last_runs(tx, _HISTORY):
            self._learn(execution)
        for execution in store.live_executions(tx):  # after the history: it says how long they will probably take
            self._add_execution(execution)
        self._learn_shapes(tx, {run.shape_id for run in self.running.ahead()})
        plain = store.plain_jobs(tx)
        if plain:
            ids, shape_ids, attempts, queued = (np.array(column) for column in zip(*plain, strict=True))
            self._learn_shapes(tx, np.unique(shape_ids).tolist())
            self.queue.load(ids, shape_ids, queued, attempts)
        self._update_queue(tx, store.special_jobs(tx))

    def _take_changes(self, tx: Connection, since: store.ChangeWatermark, changes: store.Changes) -> None:
        self.version += bool(changes.nodes or changes.executions or changes.jobs)
        for node in changes.nodes:
            if node.gone:
                self.nodes.remove(node.id)
            else:
                self._add_node(node)
        # Ends are learned in the order in which they happened, so that every process that looks, however often, predicts the same.
        for row in sorted(changes.executions, key=_by_end):
            if row.released:
                self._remove_execution(row, since)
            elif row.id not in self.running:
                self._add_execution(row)
            elif self.running[row.id].ahead and not _is_ahead(row):
                self.running.add(_begun(self.running[row.id], row))
            elif row.stopping and not self.running[row.id].stopping:
                self.stopping([row.id])
        self._update_queue(tx, changes.jobs)

    def _add_node(self, row: NodeStateRow) -> None:
        new = row.id not in self.nodes
        self.nodes.upsert(node_of(row))
        if new:  # it may still hold the executions that it had before
            for run in self.running.on_node(row.id):
                self.nodes.allocate(row.id, run.resources)

    def _update_queue(self, tx: Connection, rows: Sequence[QueuedJob]) -> None:
        queued = [row for row in rows if row.status == JobStatus.QUEUED]
        self._learn_shapes(tx, [row.shape_id for row in queued if row.shape_id not in self.queue.groups])
        for row in queued:
            self.queue.add(
                row.id,
                row.shape_id,
                row.queued_at,
                row.attempt,
                avoid=frozenset(row.avoid_nodes),
                not_before=row.not_before if row.not_before is not None and row.not_before > self.now else None,
                held=(row.hold_reason or "held") if row.is_held else None,
            )
        for row in rows:
            if row.status != JobStatus.QUEUED:
                self.queue.discard(row.id)

    def _learn_shapes(self, tx: Connection, ids: Iterable[ShapeId]) -> None:
        wanted = sorted(set(ids))
        if wanted:
            for row in store.shapes(tx, wanted):
                self.queue.add_shape(shape_of(row, row.id))

    def _add_execution(self, row: ExecutionState) -> None:
        run = _active(row, self.predictor, self._settings.ahead_s)
        self._leave_queue(row)
        self.nodes.allocate(run.node_id, run.resources)
        self.running.add(run)

    def _leave_queue(self, row: ExecutionState) -> None:
        """Remove a job from the queue that was placed since. An execution of an earlier round leaves the job in the queue."""
        if row.job_id in self.queue and self.queue.attempt(row.job_id) < row.attempt:
            self.queue.discard(row.job_id)

    def _remove_execution(self, row: ExecutionState, since: store.ChangeWatermark) -> None:
        self._leave_queue(row)
        known = row.id in self.running
        if known:
            self.nodes.release(row.node_id, self.running[row.id].resources)
            self.running.discard(row.id)
        if known or row.placed >= since.now:  # what was placed and has ended since the last look is learned too, once
            self._learn(row)

    def _learn(self, row: ExecutionState) -> None:
        if row.ran_s is not None and row.status in {ExecutionStatus.COMPLETED, ExecutionStatus.FAILED}:
            self.predictor.learn(row.project_id, row.job_type_id, row.timeout_s, row.ran_s, resources_of(row))


def _active(row: ExecutionState, predictor: Predictor, ahead_s: float) -> ActiveExecution:
    """Return an execution as placement sees it, with what is expected of it now."""
    resources, ahead = resources_of(row), _is_ahead(row)
    kind = row.project_id, row.job_type_id, row.timeout_s, resources
    return ActiveExecution(
        row.id,
        row.node_id,
        resources,
        row.placed if ahead or row.started is None else row.started,
        predictor.expected_s(*kind),
        row.timeout_s,
        row.job_id,
        row.job_type_id,
        row.project_id,
        row.priority,
        row.preemptible,
        row.stopping,
        predictor.longest_s(*kind),
        row.serial,
        ahead,
        predictor.short_s(*kind, ahead_s),
        row.shape_id,
    )


def _begun(run: ActiveExecution, row: ExecutionState) -> ActiveExecution:
    """Return an execution that waited ahead of room, as it has started."""
    started = row.placed if row.started is None else row.started
    return dataclasses.replace(run, ahead=False, started=started, stopping=row.stopping)


def _is_ahead(row: ExecutionState) -> bool:
    return row.is_ahead and row.status in {ExecutionStatus.QUEUED, ExecutionStatus.AHEAD}


def chance_of(running: Running) -> Callable[[], float]:
    """Return the source of chance for one plan: the same numbers for every plan of the same cluster state.

    So a dry run names the very node that the next tick takes. From one tick to the next the numbers differ.
    """
    return random.Random(len(running)).random  # noqa: S311 - which of equal nodes, not a secret


def _limited(
    policy: Policy, projects: Sequence[ProjectAccount], types: Sequence[LimitedType], pools: Sequence[PoolPolicy]
) -> Policy:
    """Return the policy with the settings of projects, job types and pools."""
    return dataclasses.replace(
        policy,
        paused_projects=frozenset(p.id for p in projects if p.is_paused),
        paused_types=frozenset(t.id for t in types if t.is_paused),
        paused_pools=frozenset(p.name for p in pools if p.is_paused),
        max_scheduled={t.id: t.max_scheduled for t in types if t.max_scheduled is not None},
        quotas={p.id: Quota(p.quota.get("cpus"), p.quota.get("mem"), p.quota.get("jobs")) for p in projects if p.quota},
        weights={p.id: p.weight for p in projects if p.weight != 1},
        credits={p.id: p.credit for p in projects},
        packing={p.name: Packing(p.settings["packing"]) for p in pools if "packing" in p.settings},
    )


def _switched(policy: Policy, settings: Settings, mark: store.ChangeWatermark) -> Policy:
    """Return the policy with the switches of the scheduler itself; where operators have not set one, the settings decide."""
    return dataclasses.replace(
        policy,
        mode=Mode(mark.queue_mode),
        scheduler_paused=mark.is_paused,
        preemption=settings.preemption if mark.preemption is None else mark.preemption,
        reservations=settings.reservations if mark.reservations is None else mark.reservations,
    )


def _by_end(row: ExecutionState) -> tuple[float, int]:
    """The order of ends; executions that have not ended come last, for they may take the place of one that has."""
    return (inf if row.ended is None else row.ended), row.id
