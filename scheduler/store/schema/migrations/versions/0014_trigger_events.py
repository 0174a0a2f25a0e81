"""Trigger events: what made each job; and what programs say of the times and places that their files are about."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"

_MADE_BEFORE = """
    INSERT INTO trigger_events (id, type, occurred, description)
    OVERRIDING SYSTEM VALUE
    SELECT j.id, 'USER', j.created, jsonb_build_object('user', k.name, 'jobs', 1)
    FROM jobs j
    JOIN job_specs q ON q.job_id = j.id
    LEFT JOIN tokens k ON k.id = q.created_by
"""
_OF_JOBS = "UPDATE job_specs SET event_id = job_id"
_NEXT = (
    "SELECT setval(pg_get_serial_sequence('trigger_events', 'id'), COALESCE(max(id), 0) + 1, false) FROM trigger_events"
)


def upgrade() -> None:
    """A job that is there already gets an event of its own."""
    op.create_table(
        "trigger_events",
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), primary_key=True),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("occurred", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("description", postgresql.JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
    )
    op.add_column("job_specs", sa.Column("event_id", sa.BigInteger))
    for name in ("data_started", "data_ended", "unpublished"):
        op.add_column("files", sa.Column(name, sa.DateTime(timezone=True)))
    op.add_column("files", sa.Column("geometry", postgresql.JSONB))
    for statement in (_MADE_BEFORE, _OF_JOBS, _NEXT):
        op.execute(statement)
    op.create_index("job_specs_event", "job_specs", ["event_id"])


def downgrade() -> None:
    """Forget what made the jobs, and what was said of files."""
    for name in ("geometry", "unpublished", "data_ended", "data_started"):
        op.drop_column("files", name)
    op.drop_index("job_specs_event", "job_specs")
    op.drop_column("job_specs", "event_id")
    op.drop_table("trigger_events")
