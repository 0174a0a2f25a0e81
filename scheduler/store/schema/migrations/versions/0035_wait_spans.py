"""Why jobs waited is recorded."""

from alembic import op

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    """A leader of the release before records nothing."""
    op.execute("""
        CREATE TABLE wait_spans (
            shape_id BIGINT NOT NULL,
            number BIGINT NOT NULL,
            reason TEXT NOT NULL,
            began TIMESTAMPTZ NOT NULL,
            ended TIMESTAMPTZ,
            PRIMARY KEY (shape_id, number),
            CONSTRAINT wait_span_ends CHECK (ended >= began)
        )
    """)
    op.execute("CREATE UNIQUE INDEX wait_spans_open ON wait_spans (shape_id) WHERE ended IS NULL")
    op.execute("CREATE INDEX wait_spans_ended ON wait_spans (ended) WHERE ended IS NOT NULL")
    op.execute("ALTER TABLE leader ADD COLUMN left_at TIMESTAMPTZ")
    op.execute("ALTER TABLE events ADD COLUMN delay_s DOUBLE PRECISION")


def downgrade() -> None:
    """Forget why jobs waited."""
    op.execute("ALTER TABLE events DROP COLUMN delay_s")
    op.execute("ALTER TABLE leader DROP COLUMN left_at")
    op.drop_table("wait_spans")
