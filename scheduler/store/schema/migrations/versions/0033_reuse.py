"""Results of jobs may be reused."""

from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """The release before reuses nothing, and leaves jobs that may alone."""
    op.execute("ALTER TABLE job_plans ADD COLUMN cache JSONB")
    op.execute("""
        CREATE TABLE job_cache (
            job_id BIGINT PRIMARY KEY,
            project_id BIGINT NOT NULL,
            key BYTEA NOT NULL,
            parts JSONB NOT NULL DEFAULT '{}'::jsonb,
            missed TEXT,
            reused_from BIGINT
        )
    """)
    op.execute("CREATE INDEX job_cache_key ON job_cache (project_id, key)")
    op.execute("CREATE INDEX job_cache_newest ON job_cache (project_id, job_id)")
    op.execute("CREATE INDEX job_cache_reused ON job_cache (reused_from) WHERE reused_from IS NOT NULL")


def downgrade() -> None:
    """Forget what may be reused."""
    op.drop_table("job_cache")
    op.execute("ALTER TABLE job_plans DROP COLUMN cache")
