"""The change feed reads jobs in the order of the transactions that moved them, whatever their status."""

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Add the index: it grows at its end alone."""
    op.create_index("jobs_moved", "jobs", ["moved_xid", "id"])


def downgrade() -> None:
    """Take it away."""
    op.drop_index("jobs_moved", "jobs")
