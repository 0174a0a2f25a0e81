"""Expansion: a job that stands for as many as an output has values."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Add what a job becomes; null for one that is just itself."""
    op.add_column("job_plans", sa.Column("expansion", JSONB))


def downgrade() -> None:
    """Forget it; jobs that stood for others stay one."""
    op.drop_column("job_plans", "expansion")
