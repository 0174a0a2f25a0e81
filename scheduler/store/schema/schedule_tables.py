"""The tables of what starts by itself: schedules, and what became of each of their times."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from scheduler.rules.schedule.overlap import FiringKind
from scheduler.store.schema.columns import document, identity, moment, one_of, reference
from scheduler.store.schema.project_tables import ROLES, metadata

OUTCOMES = ("WAITING", "LIVE", "ENDED", "SKIPPED", "FAILED")

schedules = Table(
    "schedules",
    metadata,
    identity(),
    reference("project_id", "projects.id"),
    Column("name", Text, nullable=False),
    # When it is due, and what it does then; see `scheduler.schedules.definition`.
    document("timing"),
    # The job that it makes, or the saved workflow that it runs; see `scheduler.schedules.target`.
    document("target"),
    Column("is_paused", Boolean, nullable=False, server_default="false"),
    Column("pause_reason", Text),
    # The next time that it is due for, and the moment when it is looked at, which jitter makes later. Null: never again.
    moment("next_nominal"),
    moment("next_at"),
    Column("created_by", BigInteger, nullable=False),
    Column("role", Text, nullable=False),
    moment("created", now=True),
    moment("last_modified", now=True),
    UniqueConstraint("project_id", "name", name="schedule_name"),
    one_of("role", ROLES, "schedule_role"),
)
Index("schedules_due", schedules.c.next_at, postgresql_where=text("NOT is_paused"))

# One row for each time of a schedule that something was decided about: the key is why none fires twice.
schedule_firings = Table(
    "schedule_firings",
    metadata,
    Column("schedule_id", BigInteger, ForeignKey("schedules.id", ondelete="CASCADE"), primary_key=True),
    Column("nominal", DateTime(timezone=True), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("reason", Text),
    Column("job_id", BigInteger),
    Column("workflow_id", BigInteger),
    # Of a backfill: how many of it may be live, and the order in which it goes.
    Column("at_once", Integer),
    Column("place", BigInteger, nullable=False, server_default="0"),
    moment("at", now=True),
    one_of("kind", FiringKind, "firing_kind"),
    one_of("outcome", OUTCOMES, "firing_outcome"),
    CheckConstraint(
        "num_nonnulls(job_id, workflow_id) = CAST(outcome IN ('LIVE', 'ENDED') AS integer)", name="firing_job"
    ),
)
Index(
    "schedule_firings_open",
    schedule_firings.c.schedule_id,
    schedule_firings.c.outcome,
    postgresql_where=text("outcome IN ('WAITING', 'LIVE')"),
)
