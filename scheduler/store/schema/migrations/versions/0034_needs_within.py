"""Jobs wait for their needs for so long at most."""

from alembic import op

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    """The release before lets them wait for ever."""
    op.execute("ALTER TABLE job_plans ADD COLUMN needs_within_s INTEGER")
    op.execute("CREATE TABLE need_deadlines (job_id BIGINT PRIMARY KEY, due TIMESTAMPTZ)")
    op.execute("CREATE INDEX need_deadlines_due ON need_deadlines (due)")


def downgrade() -> None:
    """Let them wait for ever."""
    op.drop_table("need_deadlines")
    op.execute("ALTER TABLE job_plans DROP COLUMN needs_within_s")
