"""Results of which a file could not be read are not reused."""

from alembic import op

revision = "0042"
down_revision = "0041"


def upgrade() -> None:
    """The release before doubts none."""
    op.execute("ALTER TABLE job_cache ADD COLUMN doubted_by BIGINT")


def downgrade() -> None:
    """Reuse them again."""
    op.execute("ALTER TABLE job_cache DROP COLUMN doubted_by")
