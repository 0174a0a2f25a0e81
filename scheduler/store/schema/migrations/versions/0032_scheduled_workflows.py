"""A time of a schedule may make a run of a workflow."""

from alembic import op

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    """The release before makes jobs alone, which the new check allows."""
    op.execute("ALTER TABLE schedule_firings ADD COLUMN workflow_id BIGINT, DROP CONSTRAINT firing_job")
    op.execute("""
        ALTER TABLE schedule_firings ADD CONSTRAINT firing_job
        CHECK (num_nonnulls(job_id, workflow_id) = CAST(outcome IN ('LIVE', 'ENDED') AS integer))
    """)


def downgrade() -> None:
    """Forget which workflows were made."""
    op.execute("DELETE FROM schedule_firings WHERE workflow_id IS NOT NULL")
    op.execute("ALTER TABLE schedule_firings DROP CONSTRAINT firing_job, DROP COLUMN workflow_id")
    op.execute("""
        ALTER TABLE schedule_firings ADD CONSTRAINT firing_job
        CHECK ((job_id IS NOT NULL) = (outcome IN ('LIVE', 'ENDED')))
    """)
