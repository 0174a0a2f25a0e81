"""Retention: what projects keep, what is pinned, whose output is gone, and a record of everything that was aged out."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE, JSONB

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add columns that the release before fills by their defaults, and one table."""
    op.add_column("projects", sa.Column("retention", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")))
    op.add_column("jobs", sa.Column("is_pinned", sa.Boolean, nullable=False, server_default="false"))
    op.add_column("executions", sa.Column("output_purged", sa.DateTime(timezone=True)))
    op.create_index("jobs_pinned", "jobs", ["project_id", "last_modified"], postgresql_where=sa.text("is_pinned"))
    op.create_table(
        "purges",
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("project_id", sa.BigInteger, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("ids", INT8MULTIRANGE),
        sa.CheckConstraint("what IN ('jobs', 'output', 'files')", name="purge_what"),
        sa.CheckConstraint("(what = 'jobs') = (ids IS NOT NULL)", name="purge_ids"),
    )
    op.create_index(
        "purges_project", "purges", ["project_id", sa.text("lower(ids)")], postgresql_where=sa.text("ids IS NOT NULL")
    )


def downgrade() -> None:
    """Forget it all; what was aged out does not come back."""
    op.drop_table("purges")
    op.drop_index("jobs_pinned", "jobs")
    op.drop_column("executions", "output_purged")
    op.drop_column("jobs", "is_pinned")
    op.drop_column("projects", "retention")
