"""Jobs may have been submitted by others, and are cancelled with them."""

from alembic import op

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    """The release before knows of no parents."""
    op.execute("CREATE TABLE job_parents (job_id BIGINT PRIMARY KEY, parent_job_id BIGINT NOT NULL)")
    op.execute("CREATE INDEX job_parents_parent ON job_parents (parent_job_id)")


def downgrade() -> None:
    """Forget the parents; their jobs go on."""
    op.drop_table("job_parents")
