"""Claims: the room that the scheduler keeps for jobs, from one plan to the next and from one leader to the next."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Nothing is kept at first."""
    op.add_column("leader", sa.Column("claims", postgresql.JSONB, nullable=False, server_default=sa.text("'[]'")))


def downgrade() -> None:
    """Forget what is kept."""
    op.drop_column("leader", "claims")
