"""The tables that a job's life is written in: jobs, executions, their output and their events.

Constraints are the backstop: even buggy code cannot run a job twice at once, overrun its tries or change a final
state (see the triggers in the first migration). Amounts are thousandths of a unit, durations whole seconds.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    desc,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, INT8MULTIRANGE

from scheduler.rules.lifecycle.moves import ExecutionStatus, JobStatus
from scheduler.store.schema.columns import document, identity, moment, moved_xid, one_of, reference
from scheduler.store.schema.project_tables import metadata

PURGED = ("jobs", "output", "files", "data-sets")
MAX_TIMEOUT_S = 366 * 24 * 3600

shapes = Table(
    "shapes",
    metadata,
    identity(),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("cpus", BigInteger, nullable=False),
    Column("mem", BigInteger, nullable=False),
    Column("disk", BigInteger, nullable=False),
    document("custom"),
    document("constraints", default="[]"),
    document("options"),
    Column("pool", Text),
    reference("project_id", "projects.id"),
    reference("job_type_id", "job_types.id"),
    Column("priority", Integer, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    identity(),
    # No index makes it unique: nothing is found by it, and chance does.
    Column("uuid", Uuid, nullable=False, server_default=text("gen_random_uuid()")),
    # Revision and shape, which are never deleted, are looked for once a statement, by a trigger: a foreign key would for
    # each of ten thousand jobs. Project and type are held to their tables by the shape, which repeats them.
    Column("project_id", BigInteger, nullable=False),
    Column("job_type_id", BigInteger, nullable=False),
    Column("revision_id", BigInteger, nullable=False),
    Column("shape_id", BigInteger, nullable=False),
    reference("error_id", "errors.id", nullable=True),
    reference("node_id", "nodes.id", nullable=True),
    Column("name", Text),
    # What its shape says, repeated for lists.
    Column("pool", Text),
    Column("status", Text, nullable=False),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("num_exes", Integer, nullable=False, server_default="0"),
    Column("forgiven", Integer, nullable=False, server_default="0"),
    Column("withdrawals", Integer, nullable=False, server_default="0"),
    Column("round", Integer, nullable=False, server_default="1"),
    Column("members", Integer, nullable=False, server_default="1"),
    Column("max_tries", Integer, nullable=False),
    # What the job asked for; `max_tries` grows with each requeue, and `not_before` may be the back-off of a retry.
    Column("requested_tries", Integer),
    moment("requested_not_before"),
    Column("priority", Integer, nullable=False),
    Column("cpus", BigInteger, nullable=False),
    Column("mem", BigInteger, nullable=False),
    Column("disk_in", BigInteger, nullable=False, server_default="0"),
    Column("disk_out", BigInteger, nullable=False, server_default="0"),
    Column("timeout_s", Integer),
    Column("is_held", Boolean, nullable=False, server_default="false"),
    Column("hold_reason", Text),
    Column("is_pinned", Boolean, nullable=False, server_default="false"),
    Column("result_attempt", Integer),
    Column("avoid_nodes", ARRAY(BigInteger), nullable=False, server_default="{}"),
    Column("percent", Float),
    Column("note", Text),
    Column("workflow_id", BigInteger),
    # Whether others need it: 0 nobody, 1 its end, 2 its start too.
    Column("followers", SmallInteger, nullable=False, server_default="0"),
    # CANCELED because it was not needed.
    Column("is_skipped", Boolean, nullable=False, server_default="false"),
    # The operator who said that it is done; such a job has no result of an execution.
    Column("forced_by", Text),
    moment("not_before"),
    moment("created", now=True),
    moment("queued"),
    moment("started"),
    moment("ended"),
    moment("last_status_change", now=True),
    moment("last_modified", now=True),
    moved_xid(),
    one_of("status", JobStatus, "job_status"),
    CheckConstraint("num_exes <= max_tries + forgiven", name="job_tries"),
    CheckConstraint("cpus > 0 AND mem >= 0 AND disk_in >= 0 AND disk_out >= 0", name="job_amounts"),
    CheckConstraint("(status = 'COMPLETED') = (result_attempt IS NOT NULL)", name="job_result"),
    CheckConstraint("status <> 'FAILED' OR error_id IS NOT NULL", name="job_failed_has_error"),
    CheckConstraint("max_tries >= 1", name="job_max_tries"),
    CheckConstraint("members >= 1", name="job_members"),
    # Hot rows are rewritten at every move; room in the page keeps them near.
    postgresql_with={"fillfactor": 80, "autovacuum_vacuum_scale_factor": 0.02},
)
# The cluster state reads the jobs that were queued or cancelled since its last snapshot.
Index("jobs_queue_changes", jobs.c.moved_xid, postgresql_where=text("(status IN ('QUEUED', 'CANCELED')) IS TRUE"))
# The change feed reads all jobs in the order of the transactions that moved them.
Index("jobs_moved", jobs.c.moved_xid, jobs.c.id)
# Whether a workflow has ended: "IS TRUE" keeps the planner from this index where it asks for jobs by status alone.
Index(
    "jobs_workflow_live",
    jobs.c.workflow_id,
    postgresql_where=text(
        "workflow_id IS NOT NULL AND (status IN ('PENDING_UPLOAD', 'PENDING', 'QUEUED', 'RUNNING')) IS TRUE"
    ),
)
Index("jobs_due", jobs.c.not_before, postgresql_where=text("status = 'PENDING'"))
# Pages of lists: every order ends in the id. What lists are filtered by beside is carried along, so that rows which do
# not match are passed over, and those which do are counted, without being read.
Index(
    "jobs_modified",
    jobs.c.last_modified,
    jobs.c.id,
    postgresql_include=["status", "job_type_id", "project_id", "node_id", "error_id", "pool"],
)
Index(
    "jobs_changed",
    jobs.c.last_status_change,
    jobs.c.id,
    postgresql_include=["status", "job_type_id", "project_id"],
)
Index("jobs_held", jobs.c.status, jobs.c.project_id, postgresql_where=text("is_held"))
Index("jobs_pinned", jobs.c.project_id, jobs.c.last_modified, postgresql_where=text("is_pinned"))
_CARRIED = {
    "status": ("job_type_id", "project_id"),
    "job_type_id": ("status", "project_id"),
    "project_id": ("status", "job_type_id"),
    "node_id": ("status", "job_type_id", "project_id"),
    "error_id": ("job_type_id", "project_id", "node_id"),
    "pool": ("status", "job_type_id", "project_id"),
    "workflow_id": ("status", "job_type_id", "project_id"),
}
# Names are looked for as users gave them; most jobs have none.
Index(
    "jobs_name_modified",
    jobs.c.name,
    jobs.c.last_modified,
    jobs.c.id,
    postgresql_include=["status", "job_type_id", "project_id"],
    postgresql_where=text("name IS NOT NULL"),
)
for _column, _others in _CARRIED.items():
    Index(
        f"jobs_{_column.removeprefix('job_').removesuffix('_id')}_modified",
        jobs.c[_column],
        jobs.c.last_modified,
        jobs.c.id,
        postgresql_include=[*_others],
        postgresql_where=jobs.c[_column].is_not(None) if jobs.c[_column].nullable else None,
    )

job_specs = Table(
    "job_specs",
    metadata,
    # The job and the token are looked for by a trigger, likewise.
    Column("job_id", BigInteger, primary_key=True, autoincrement=False),
    document("data"),
    document("overrides"),
    document("labels", default=None),
    document("results", default=None),
    Column("message", Text),
    Column("created_by", BigInteger),
    Column("event_id", BigInteger),
)
Index("job_specs_labels", job_specs.c.labels, postgresql_using="gin", postgresql_where=text("labels IS NOT NULL"))
Index("job_specs_event", job_specs.c.event_id)

# What made jobs: one row for each submission. It goes with the last of its jobs, so nothing else holds the two together.
trigger_events = Table(
    "trigger_events",
    metadata,
    identity(),
    Column("type", Text, nullable=False),
    moment("occurred", now=True),
    document("description"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("project_id", BigInteger, ForeignKey("projects.id"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("job_ids", ARRAY(BigInteger), nullable=False, server_default="{}"),
    moment("created", now=True),
)
Index("idempotency_created", idempotency.c.created)

executions = Table(
    "executions",
    metadata,
    identity(),
    Column("uuid", Uuid, nullable=False, unique=True, server_default=text("gen_random_uuid()")),
    reference("job_id", "jobs.id"),
    Column("attempt", Integer, nullable=False),
    Column("member", Integer, nullable=False, server_default="0"),
    reference("node_id", "nodes.id"),
    Column("node_epoch", Integer, nullable=False),
    Column("status", Text, nullable=False),
    # Placed beyond the room of its node, which starts it when room frees: it holds none before.
    Column("is_ahead", Boolean, nullable=False, server_default="false"),
    reference("error_id", "errors.id", nullable=True),
    Column("claim_token", Text),
    Column("digest", Text),
    Column("cpus", BigInteger, nullable=False),
    Column("mem", BigInteger, nullable=False),
    Column("disk", BigInteger, nullable=False),
    document("custom", default=None),
    Column("lease_s", Float, nullable=False),
    Column("cancel_requested", Text),
    Column("cancel_grace_s", Float),
    # The more urgent job that it was told to make room for.
    Column("preempted_for", BigInteger),
    Column("message", Text),
    Column("why", Text),
    document("arguments", default=None),
    moment("pre_started"),
    moment("pre_completed"),
    Column("pre_exit_code", Integer),
    moment("job_started"),
    moment("job_completed"),
    Column("job_exit_code", Integer),
    moment("post_started"),
    moment("post_completed"),
    Column("post_exit_code", Integer),
    document("usage", default=None),
    document("results", default=None),
    moment("created", now=True),
    moment("queued"),
    moment("started"),
    moment("ended"),
    moment("last_modified", now=True),
    moment("released_at"),
    moment("output_purged"),
    moved_xid(),
    UniqueConstraint("job_id", "attempt", "member", name="execution_attempt"),
    one_of("status", ExecutionStatus, "execution_status"),
    CheckConstraint("status IN ('QUEUED', 'AHEAD', 'RUNNING') OR released_at IS NOT NULL", name="execution_released"),
    CheckConstraint(
        "status <> 'AHEAD' OR is_ahead AND claim_token IS NOT NULL AND started IS NULL", name="execution_ahead"
    ),
    postgresql_with={"fillfactor": 80, "autovacuum_vacuum_scale_factor": 0.02},
)
# One live execution per member of a job, whatever else goes wrong.
Index(
    "executions_live",
    executions.c.job_id,
    executions.c.member,
    unique=True,
    postgresql_where=text("released_at IS NULL"),
)
# With the id, so that a node's are read in their order and no other index is ever as good for that.
Index("executions_node_live", executions.c.node_id, executions.c.id, postgresql_where=text("released_at IS NULL"))
Index(
    "executions_making_room",
    executions.c.preempted_for,
    postgresql_where=text("preempted_for IS NOT NULL AND released_at IS NULL"),
)
Index("executions_moved", executions.c.moved_xid)
Index("executions_job", executions.c.job_id, desc(executions.c.created))
Index("executions_created", executions.c.created, executions.c.id)
# What nodes did of late; an index of this kind lets a row's updates stay in its page.
Index(
    "executions_modified", executions.c.last_modified, postgresql_using="brin", postgresql_with={"autosummarize": "on"}
)

events = Table(
    "events",
    metadata,
    identity(),
    reference("job_id", "jobs.id"),
    moment("at", now=True),
    Column("event", Text, nullable=False),
    Column("from", Text),
    Column("to", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text),
    # Of a try that failed: how long the next one is put off.
    Column("delay_s", Float),
)
Index("events_job", events.c.job_id, events.c.id)

# Why jobs of a shape waited, stretch by stretch, as the leader saw it.
wait_spans = Table(
    "wait_spans",
    metadata,
    Column("shape_id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("reason", Text, nullable=False),
    Column("began", DateTime(timezone=True), nullable=False),
    moment("ended"),
    CheckConstraint("ended >= began", name="wait_span_ends"),
)
Index("wait_spans_open", wait_spans.c.shape_id, unique=True, postgresql_where=text("ended IS NULL"))
Index("wait_spans_ended", wait_spans.c.ended, postgresql_where=text("ended IS NOT NULL"))

output_chunks = Table(
    "output_chunks",
    metadata,
    Column("execution_id", BigInteger, ForeignKey("executions.id"), primary_key=True),
    Column("phase", Text, primary_key=True),
    Column("stream", Text, primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    moment("at", now=True),
    Column("data", LargeBinary, nullable=False),
    # Both streams together are read in the order in which their pieces came.
    Column("arrival", BigInteger, Identity(always=False), nullable=False),
    CheckConstraint("octet_length(data) > 0", name="chunk_not_empty"),
)

# What executions used while they ran: a point for each slot of 10 s, of 20 s once they run for long, and so on: each level
# doubles the slot. They go with the execution.
usage_samples = Table(
    "usage_samples",
    metadata,
    Column("execution_id", BigInteger, ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
    Column("level", Integer, primary_key=True),
    Column("slot", Integer, primary_key=True),
    # Seconds since its start, those that its commands ran, those of cpus; MiB.
    Column("age_s", Float, nullable=False),
    Column("ran_s", Float, nullable=False),
    Column("cpu_s", Float),
    Column("mem_mib", Float),
    Column("disk_mib", Float),
)

# What was aged out, batch by batch: the ids of jobs say that there was such a job.
purges = Table(
    "purges",
    metadata,
    identity(),
    moment("at", now=True),
    Column("project_id", BigInteger, nullable=False),
    Column("what", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False, server_default="0"),
    Column("ids", INT8MULTIRANGE),
    one_of("what", PURGED, "purge_what"),
    CheckConstraint("(what = 'jobs') = (ids IS NOT NULL)", name="purge_ids"),
)
Index("purges_project", purges.c.project_id, text("lower(ids)"), postgresql_where=text("ids IS NOT NULL"))
