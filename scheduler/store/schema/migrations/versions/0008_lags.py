"""Lags: what projects are owed by one another, and the start that a claim was first promised."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_NO_CLAIMS = "UPDATE leader SET claims = '[]'"


def upgrade() -> None:
    """Nobody is owed anything at first; claims, which change at every moment, are made anew."""
    for name in ("lag_s", "credit"):
        op.add_column("usage", sa.Column(name, sa.Float, nullable=False, server_default="0"))
    op.execute(_NO_CLAIMS)


def downgrade() -> None:
    """Forget what is owed."""
    for name in ("lag_s", "credit"):
        op.drop_column("usage", name)
    op.execute(_NO_CLAIMS)
