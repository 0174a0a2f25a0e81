"""Requests kept: the earliest start and the number of tries that a job asked for, beside those that hold at the moment."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_NEVER_PLACED = "UPDATE jobs SET requested_not_before = not_before WHERE attempt = 0 AND not_before IS NOT NULL"


def upgrade() -> None:
    """The earliest start of a job that was never placed is what it asked for; of others it may be a back-off."""
    op.add_column("jobs", sa.Column("requested_not_before", sa.DateTime(timezone=True)))
    op.add_column("jobs", sa.Column("requested_tries", sa.Integer))
    op.execute(_NEVER_PLACED)


def downgrade() -> None:
    """Forget what was asked for."""
    op.drop_column("jobs", "requested_tries")
    op.drop_column("jobs", "requested_not_before")
