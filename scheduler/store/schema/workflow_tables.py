"""The tables of workflows: runs, their jobs by step, and named definitions with revisions."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from scheduler.rules.workflow.definition import FailurePolicy
from scheduler.rules.workflow.state import FINAL_WORKFLOW
from scheduler.store.schema.columns import document, identity, moment, one_of, reference
from scheduler.store.schema.project_tables import metadata

workflows = Table(
    "workflows",
    metadata,
    identity(),
    Column("uuid", Uuid, nullable=False, server_default=text("gen_random_uuid()")),
    reference("project_id", "projects.id"),
    reference("type_revision_id", "workflow_revisions.id", nullable=True),
    # The run whose results it borrows, and the job that made it.
    Column("rerun_of", BigInteger),
    Column("parent_job_id", BigInteger),
    Column("name", Text),
    # Null while jobs of it may still move; written once when it ends, and cleared by a restart.
    Column("state", Text),
    # Its jobs are still being written: nobody sees it.
    Column("is_open", Boolean, nullable=False, server_default="false"),
    Column("is_held", Boolean, nullable=False, server_default="false"),
    Column("on_failure", Text, nullable=False, server_default="go_on"),
    Column("timeout_s", Integer),
    Column("definition", Text, nullable=False, server_default=""),
    document("inputs"),
    # What else it was given (`parameters`, `assets`, `priority`), and which steps it `borrowed`.
    document("given"),
    document("outputs"),
    document("labels", default=None),
    Column("created_by", BigInteger),
    Column("total", Integer, nullable=False, server_default="0"),
    moment("canceled"),
    Column("canceled_by", Text),
    Column("cancel_reason", Text),
    moment("created", now=True),
    moment("started"),
    moment("ended"),
    moment("last_modified", now=True),
    one_of("state", sorted(FINAL_WORKFLOW), "workflow_state"),
    one_of("on_failure", FailurePolicy, "workflow_on_failure"),
)
Index("workflows_project", workflows.c.project_id, workflows.c.id)
Index("workflows_live", workflows.c.project_id, postgresql_where=text("state IS NULL"))
Index("workflows_parent", workflows.c.parent_job_id, postgresql_where=text("parent_job_id IS NOT NULL"))

# No reference to jobs: they are purged in sets, and their workflow with the last of them.
workflow_jobs = Table(
    "workflow_jobs",
    metadata,
    Column("job_id", BigInteger, primary_key=True, autoincrement=False),
    Column("workflow_id", BigInteger, nullable=False),
    Column("step", Text, nullable=False),
    # Of a step that is several jobs.
    Column("member", Integer),
    Column("allow_failure", Boolean, nullable=False, server_default="false"),
    Column("is_finally", Boolean, nullable=False, server_default="false"),
    # A newer copy has taken its place.
    Column("superseded_by", BigInteger),
)
Index("workflow_jobs_step", workflow_jobs.c.workflow_id, workflow_jobs.c.step, workflow_jobs.c.member)

# What happened to a run as a whole.
workflow_events = Table(
    "workflow_events",
    metadata,
    identity(),
    Column("workflow_id", BigInteger, ForeignKey("workflows.id", ondelete="CASCADE"), nullable=False),
    Column("event", Text, nullable=False),
    Column("state", Text),
    Column("actor", Text),
    Column("reason", Text),
    moment("at", now=True),
)
Index("workflow_events_workflow", workflow_events.c.workflow_id, workflow_events.c.id)

workflow_types = Table(
    "workflow_types",
    metadata,
    identity(),
    reference("project_id", "projects.id"),
    Column("name", Text, nullable=False),
    Column("revision_num", Integer, nullable=False, server_default="1"),
    moment("created", now=True),
    moment("last_modified", now=True),
    moment("archived"),
    UniqueConstraint("project_id", "name", name="workflow_type_name"),
)

workflow_revisions = Table(
    "workflow_revisions",
    metadata,
    identity(),
    reference("workflow_type_id", "workflow_types.id"),
    Column("revision_num", Integer, nullable=False),
    Column("definition", Text, nullable=False),
    Column("created_by", BigInteger),
    moment("created", now=True),
    UniqueConstraint("workflow_type_id", "revision_num", name="workflow_revision"),
)
