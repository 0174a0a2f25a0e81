"""The tables of what jobs live among: job types, errors, nodes, pools, files, the leader."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, INT8MULTIRANGE

from scheduler.rules.autoscaling.sizing import PoolSizing
from scheduler.rules.lifecycle.failures import FailureCategory
from scheduler.rules.lifecycle.states import NodeState, OperationStatus
from scheduler.store.schema.columns import document, identity, moment, moved_xid, one_of, reference
from scheduler.store.schema.project_tables import metadata, projects

POOL_EVENTS = ("change", "decide", "start", "revive", "drain", "keep", "preempt", "clear", "pause", "resume", "trouble")

job_types = Table(
    "job_types",
    metadata,
    identity(),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    # See `rules.job_type.versions`: the newest version has the largest.
    Column("version_order", Text, nullable=False, server_default=""),
    Column("title", Text, nullable=False, server_default=""),
    Column("description", Text, nullable=False, server_default=""),
    Column("category", Text),
    Column("author_name", Text),
    Column("author_url", Text),
    Column("icon_code", Text),
    Column("is_system", Boolean, nullable=False, server_default="false"),
    Column("is_long_running", Boolean, nullable=False, server_default="false"),
    Column("is_operational", Boolean, nullable=False, server_default="true"),
    Column("is_active", Boolean, nullable=False, server_default="true"),
    Column("is_paused", Boolean, nullable=False, server_default="false"),
    Column("pause_reason", Text),
    Column("max_scheduled", Integer),
    Column("revision_num", Integer, nullable=False, server_default="1"),
    # The project that owns it; null: the installation, whose types are everybody's.
    reference("project_id", "projects.id", nullable=True),
    moment("created", now=True),
    moment("archived"),
    moment("paused"),
    moment("last_modified", now=True),
    moved_xid(),
    CheckConstraint("max_scheduled IS NULL OR max_scheduled >= 1", name="job_type_max_scheduled"),
    CheckConstraint("NOT is_system OR project_id IS NULL", name="job_type_owner"),
)
_of_installation = text("project_id IS NULL")
Index(
    "job_type_name_version",
    job_types.c.name,
    job_types.c.version,
    unique=True,
    postgresql_where=_of_installation,
)
Index(
    "job_type_of_project",
    job_types.c.project_id,
    job_types.c.name,
    job_types.c.version,
    unique=True,
    postgresql_where=text("project_id IS NOT NULL"),
)

job_type_revisions = Table(
    "job_type_revisions",
    metadata,
    identity(),
    reference("job_type_id", "job_types.id"),
    Column("revision_num", Integer, nullable=False),
    document("definition"),
    moment("created", now=True),
    UniqueConstraint("job_type_id", "revision_num", name="job_type_revision"),
)

errors = Table(
    "errors",
    metadata,
    identity(),
    Column("name", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("category", Text, nullable=False),
    Column("should_be_retried", Boolean, nullable=False, server_default="true"),
    Column("is_builtin", Boolean, nullable=False, server_default="false"),
    # The project that owns it; null: the installation.
    reference("project_id", "projects.id", nullable=True),
    moment("created", now=True),
    moment("last_modified", now=True),
    one_of("category", FailureCategory, "error_category"),
    CheckConstraint("NOT is_builtin OR project_id IS NULL", name="error_owner"),
)
Index("error_name", errors.c.name, unique=True, postgresql_where=_of_installation)
Index(
    "error_of_project",
    errors.c.project_id,
    errors.c.name,
    unique=True,
    postgresql_where=text("project_id IS NOT NULL"),
)

pools = Table(
    "pools",
    metadata,
    identity(),
    Column("name", Text, nullable=False, unique=True),
    document("labels"),
    document("template", default=None),
    document("settings"),
    Column("sizing", Text, nullable=False, server_default=PoolSizing.FREE.value),
    Column("size", Integer, nullable=False, server_default="0"),
    Column("smallest", Integer, nullable=False, server_default="0"),
    Column("largest", Integer),
    document("drivers", default="[]"),
    Column("is_paused", Boolean, nullable=False, server_default="false"),
    Column("pause_reason", Text),
    moment("created", now=True),
    moment("last_modified", now=True),
    moved_xid(),
    one_of("sizing", PoolSizing, "pool_sizing"),
    CheckConstraint("size >= 0 AND smallest >= 0 AND (largest IS NULL OR largest >= smallest)", name="pool_size"),
)

# The last decision about a pool's size, apart from the pool: what operators set is not rewritten by what the scheduler thinks.
pool_states = Table(
    "pool_states",
    metadata,
    Column("pool_id", BigInteger, ForeignKey("pools.id"), primary_key=True),
    Column("wanted", Integer),
    Column("present", Integer, nullable=False),
    Column("starting", Integer, nullable=False, server_default="0"),
    Column("why", Text, nullable=False),
    Column("trouble", Text),
    document("detail"),
    moment("at", now=True),
)

pool_events = Table(
    "pool_events",
    metadata,
    identity(),
    reference("pool_id", "pools.id"),
    moment("at", now=True),
    Column("event", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text),
    document("detail"),
    one_of("event", POOL_EVENTS, "pool_event"),
)
Index("pool_events_pool", pool_events.c.pool_id, pool_events.c.id)

nodes = Table(
    "nodes",
    metadata,
    identity(),
    Column("name", Text, nullable=False, unique=True),
    reference("pool_id", "pools.id"),
    Column("hostname", Text, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("disk_id", Text, nullable=False),
    Column("epoch", Integer, nullable=False, server_default="1"),
    Column("state", Text, nullable=False, server_default=NodeState.READY.value),
    Column("is_silent", Boolean, nullable=False, server_default="false"),
    Column("is_paused", Boolean, nullable=False, server_default="false"),
    Column("pause_reason", Text),
    Column("is_draining", Boolean, nullable=False, server_default="false"),
    Column("drain_reason", Text),
    moment("drain_by"),
    # Chosen to go for good: its driver clears it away once it has left.
    Column("is_retiring", Boolean, nullable=False, server_default="false"),
    Column("is_leaving", Boolean, nullable=False, server_default="false"),
    Column("is_active", Boolean, nullable=False, server_default="true"),
    Column("degraded", Text),
    Column("launch_failures", Integer, nullable=False, server_default="0"),
    moment("launch_failed_at"),
    # Programs that it could not start: not held against it before there are several, for each alone may be a user's mistake.
    Column("launch_suspects", ARRAY(Text), nullable=False, server_default="{}"),
    Column("cpus", BigInteger, nullable=False),
    Column("mem", BigInteger, nullable=False),
    Column("disk", BigInteger, nullable=False),
    document("custom"),
    document("labels"),
    document("powers"),
    Column("version", Text, nullable=False, server_default=""),
    # Whether its agent starts by itself what was placed beyond its room.
    Column("runs_ahead", Boolean, nullable=False, server_default="false"),
    # Where its folder lies, as its agent says: a copy of the folder lies elsewhere.
    Column("place", Text),
    # The join token that it registered with last, and the projects that this token limits it to; null: all.
    Column("token_id", BigInteger),
    Column("project_ids", ARRAY(BigInteger)),
    moment("created", now=True),
    moment("registered", now=True),
    moment("archived"),
    moment("last_modified", now=True),
    moved_xid(),
    one_of("state", NodeState, "node_state"),
    CheckConstraint("cpus >= 0 AND mem >= 0 AND disk >= 0", name="node_amounts"),
)

# Two of a node while it changes from one to the next, else one; none of an agent of a release that had none.
node_credentials = Table(
    "node_credentials",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    Column("node_id", BigInteger, ForeignKey("nodes.id", ondelete="CASCADE"), nullable=False),
    reference("token_id", "tokens.id"),
    moment("created", now=True),
)
Index("node_credentials_node", node_credentials.c.node_id)

# Apart from the nodes, so that a beat neither waits for nor bloats the rows that placement locks.
beats = Table(
    "beats",
    metadata,
    Column("node_id", BigInteger, ForeignKey("nodes.id"), primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False, server_default="0"),
    Column("holding", Integer, nullable=False, server_default="0"),
    document("load"),
    moment("at", now=True),
    postgresql_with={"fillfactor": 50},
)

leader = Table(
    "leader",
    metadata,
    Column("name", Text, primary_key=True),
    Column("term", BigInteger, nullable=False, server_default="0"),
    Column("holder", Text, nullable=False, server_default=""),
    Column("beat", BigInteger, nullable=False, server_default="0"),
    Column("is_paused", Boolean, nullable=False, server_default="false"),
    Column("pause_reason", Text),
    Column("queue_mode", Text, nullable=False, server_default="FIFO"),
    # Null: as the scheduler's settings say.
    Column("preemption", Boolean),
    Column("reservations", Integer),
    document("status"),
    # What the last plan keeps room for: [job, shape, [node, ...]] each, in its order.
    document("claims", default="[]"),
    moment("at", now=True),
    # The last sign of life of the leader before.
    moment("left_at"),
    one_of("queue_mode", ("FIFO", "LIFO"), "queue_mode"),
    CheckConstraint("reservations >= 0", name="leader_reservations"),
)

workspaces = Table(
    "workspaces",
    metadata,
    identity(),
    Column("name", Text, nullable=False, unique=True),
    Column("title", Text, nullable=False, server_default=""),
    Column("url", Text, nullable=False),
    Column("is_active", Boolean, nullable=False, server_default="true"),
    Column("is_default", Boolean, nullable=False, server_default="false"),
    # Projects whose files may be put there; NULL is all of them.
    Column("project_ids", ARRAY(BigInteger)),
    # The least role that may register what lies there already.
    Column("register_role", Text, nullable=False, server_default="operator"),
    moment("created", now=True),
    moment("last_modified", now=True),
)
Index("workspaces_default", workspaces.c.is_default, unique=True, postgresql_where=text("is_default"))

# Files and projects that nobody has asked for yet, and what was sent for them.
unanswered = Table(
    "unanswered",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("object_id", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", Text, nullable=False),
    Column("is_lost", Boolean, nullable=False, server_default="false"),
    moment("created", now=True),
    one_of("kind", ("file", "project"), "unanswered_kind"),
)
Index("unanswered_digest", unanswered.c.digest)

files = Table(
    "files",
    metadata,
    identity(),
    Column("uuid", Uuid, nullable=False, unique=True, server_default=text("gen_random_uuid()")),
    reference("project_id", "projects.id"),
    reference("workspace_id", "workspaces.id"),
    Column("file_name", Text, nullable=False),
    Column("media_type", Text, nullable=False, server_default="application/octet-stream"),
    Column("file_size", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("path", Text, nullable=False),
    # An output belongs to one attempt, and is seen only once that attempt's report was accepted.
    Column("job_id", BigInteger),
    Column("execution_id", BigInteger),
    Column("output", Text),
    Column("is_published", Boolean, nullable=False, server_default="true"),
    Column("is_deleted", Boolean, nullable=False, server_default="false"),
    document("meta_data"),
    # What the program said of the data: the times that it covers, and the place, as GeoJSON.
    moment("data_started"),
    moment("data_ended"),
    document("geometry", default=None),
    moment("created", now=True),
    moment("published"),
    moment("unpublished"),
    moment("deleted"),
    moment("last_modified", now=True),
    UniqueConstraint("execution_id", "output", "file_name", name="file_of_output"),
)
# Clients ask for what is there already before they send it.
Index("files_sha256", files.c.sha256, files.c.project_id)
Index("files_project", files.c.project_id, files.c.last_modified, files.c.id)

audit = Table(
    "audit",
    metadata,
    identity(),
    moment("at", now=True),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("reason", Text),
    document("detail"),
)

operations = Table(
    "operations",
    metadata,
    identity(),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False, server_default=OperationStatus.RUNNING.value),
    document("filters"),
    document("arguments"),
    reference("project_id", "projects.id", nullable=True),
    Column("matched", BigInteger, nullable=False, server_default="0"),
    Column("done", BigInteger, nullable=False, server_default="0"),
    Column("skipped", BigInteger, nullable=False, server_default="0"),
    Column("last_job_id", BigInteger),
    Column("message", Text),
    Column("created_by", Text, nullable=False),
    # The jobs that it has changed so far; null for actions of releases before.
    Column("changed", INT8MULTIRANGE),
    moment("created", now=True),
    moment("ended"),
    one_of("status", OperationStatus, "operation_status"),
)
Index("operations_open", operations.c.id, postgresql_where=text("status = 'RUNNING'"))

# What waited and what ran, minute by minute; `moves` counts the events of jobs up to `last_event_id` since the beginning.
load_samples = Table(
    "load_samples",
    metadata,
    identity(),
    moment("at", now=True),
    Column("last_event_id", BigInteger, nullable=False),
    document("moves"),
)
Index("load_samples_at", load_samples.c.at, load_samples.c.id)

load_counts = Table(
    "load_counts",
    metadata,
    Column("sample_id", BigInteger, ForeignKey("load_samples.id", ondelete="CASCADE"), primary_key=True),
    # Without references: what is deleted later has still been a load.
    Column("project_id", BigInteger, primary_key=True),
    Column("job_type_id", BigInteger, primary_key=True),
    Column("priority", Integer, primary_key=True),
    Column("pending", Integer, nullable=False),
    Column("queued", Integer, nullable=False),
    Column("running", Integer, nullable=False),
)

balance_samples = Table(
    "balance_samples",
    metadata,
    Column("sample_id", BigInteger, ForeignKey("load_samples.id", ondelete="CASCADE"), primary_key=True),
    Column("project_id", BigInteger, primary_key=True),
    Column("share", Float, nullable=False),
    Column("lag_s", Float, nullable=False),
)

# The cluster state reads these again when they have changed; a trigger stamps every update.
for _table in (projects, job_types, pools, nodes):
    Index(f"{_table.name}_moved", _table.c.moved_xid)
