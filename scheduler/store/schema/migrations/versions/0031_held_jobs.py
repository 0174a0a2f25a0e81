"""Held jobs are counted without looking at the others."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Few jobs are held: the index costs nothing for those that are not."""
    op.create_index("jobs_held", "jobs", ["status", "project_id"], postgresql_where=sa.text("is_held"))


def downgrade() -> None:
    """Count them among all again."""
    op.drop_index("jobs_held", "jobs")
