"""Schedules, and what became of each of their times."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0028"
down_revision = "0027"

_MOMENT = sa.DateTime(timezone=True)
_NOW = sa.text("now()")


def upgrade() -> None:
    """No schedule is there yet."""
    op.create_table(
        "schedules",
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), primary_key=True),
        sa.Column("project_id", sa.BigInteger, sa.ForeignKey("projects.id"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("timing", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.Column("target", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.Column("is_paused", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("pause_reason", sa.Text),
        sa.Column("next_nominal", _MOMENT),
        sa.Column("next_at", _MOMENT),
        sa.Column("created_by", sa.BigInteger, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("created", _MOMENT, nullable=False, server_default=_NOW),
        sa.Column("last_modified", _MOMENT, nullable=False, server_default=_NOW),
        sa.UniqueConstraint("project_id", "name", name="schedule_name"),
        sa.CheckConstraint("role IN ('viewer', 'submitter', 'operator', 'admin')", name="schedule_role"),
    )
    op.create_index("schedules_due", "schedules", ["next_at"], postgresql_where=sa.text("NOT is_paused"))
    op.create_table(
        "schedule_firings",
        sa.Column("schedule_id", sa.BigInteger, sa.ForeignKey("schedules.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("nominal", _MOMENT, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("job_id", sa.BigInteger),
        sa.Column("at_once", sa.Integer),
        sa.Column("place", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("at", _MOMENT, nullable=False, server_default=_NOW),
        sa.CheckConstraint("kind IN ('REGULAR', 'CATCH_UP', 'BACKFILL', 'TRIGGER')", name="firing_kind"),
        sa.CheckConstraint("outcome IN ('WAITING', 'LIVE', 'ENDED', 'SKIPPED', 'FAILED')", name="firing_outcome"),
        sa.CheckConstraint("(job_id IS NOT NULL) = (outcome IN ('LIVE', 'ENDED'))", name="firing_job"),
    )
    op.create_index(
        "schedule_firings_open",
        "schedule_firings",
        ["schedule_id", "outcome"],
        postgresql_where=sa.text("outcome IN ('WAITING', 'LIVE')"),
    )


def downgrade() -> None:
    """Forget them."""
    op.drop_table("schedule_firings")
    op.drop_table("schedules")
