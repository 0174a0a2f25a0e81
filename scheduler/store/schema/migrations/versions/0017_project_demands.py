"""What a project demands of the nodes and images that its jobs get."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """A project from before demands nothing."""
    op.add_column("projects", sa.Column("demands", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")))


def downgrade() -> None:
    """Forget it."""
    op.drop_column("projects", "demands")
