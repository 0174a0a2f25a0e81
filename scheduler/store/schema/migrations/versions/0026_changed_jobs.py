"""Which jobs a bulk action changed, so that it can be shown and undone."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Actions from before do not say."""
    op.add_column("operations", sa.Column("changed", INT8MULTIRANGE))


def downgrade() -> None:
    """Forget it."""
    op.drop_column("operations", "changed")
