"""How projects stood beside each other is sampled with the load."""

from alembic import op

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    """A leader of the release before writes no such samples."""
    op.execute("""
        CREATE TABLE balance_samples (
            sample_id BIGINT NOT NULL REFERENCES load_samples (id) ON DELETE CASCADE,
            project_id BIGINT NOT NULL,
            share DOUBLE PRECISION NOT NULL,
            lag_s DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (sample_id, project_id)
        )
    """)


def downgrade() -> None:
    """Forget how projects stood."""
    op.drop_table("balance_samples")
