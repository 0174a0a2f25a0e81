"""Secrets may be stored sealed, with the id of the key that opens them; the API seals what is plain when it starts."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns."""
    op.alter_column("secrets", "value", nullable=True)
    op.add_column("secrets", sa.Column("key_id", sa.Text))
    op.add_column("secrets", sa.Column("sealed", sa.LargeBinary))
    op.create_check_constraint("secret_once", "secrets", "(value IS NULL) = (sealed IS NOT NULL)")
    op.create_check_constraint("secret_key", "secrets", "(sealed IS NULL) = (key_id IS NULL)")


def downgrade() -> None:
    """Drop the columns; sealed secrets are lost with them, for only the API has the key."""
    op.execute("DELETE FROM secrets WHERE value IS NULL")
    op.drop_column("secrets", "sealed")
    op.drop_column("secrets", "key_id")
    op.alter_column("secrets", "value", nullable=False)
