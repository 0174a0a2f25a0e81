"""What executions use while they run is sampled."""

from alembic import op

revision = "0043"
down_revision = "0042"


def upgrade() -> None:
    """An API of the release before ignores the samples of nodes, and its purge takes them with the executions."""
    op.execute("""
        CREATE TABLE usage_samples (
            execution_id BIGINT NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
            level INTEGER NOT NULL,
            slot INTEGER NOT NULL,
            age_s DOUBLE PRECISION NOT NULL,
            ran_s DOUBLE PRECISION NOT NULL,
            cpu_s DOUBLE PRECISION,
            mem_mib DOUBLE PRECISION,
            disk_mib DOUBLE PRECISION,
            PRIMARY KEY (execution_id, level, slot)
        )
    """)


def downgrade() -> None:
    """Forget the samples."""
    op.drop_table("usage_samples")
