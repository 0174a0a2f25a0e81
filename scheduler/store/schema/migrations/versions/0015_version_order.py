"""Version order: job types are ordered by their versions' numbers."""

import sqlalchemy as sa
from alembic import op

from scheduler.rules.job_type import versions

revision = "0015"
down_revision = "0014"

_ALL = sa.text("SELECT id, version FROM job_types")
_SET = sa.text("UPDATE job_types SET version_order = :version_order WHERE id = :id")


def upgrade() -> None:
    """Give the types that are there their order."""
    op.add_column("job_types", sa.Column("version_order", sa.Text, nullable=False, server_default=""))
    connection = op.get_bind()
    for row in connection.execute(_ALL).all():
        connection.execute(_SET, {"id": row.id, "version_order": versions.order(row.version)})


def downgrade() -> None:
    """Forget the order."""
    op.drop_column("job_types", "version_order")
