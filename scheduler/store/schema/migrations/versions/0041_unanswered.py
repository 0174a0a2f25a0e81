"""It is known for a while what was sent for files and projects, so that what is sent again makes nothing twice."""

from alembic import op

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    """The release before makes them without."""
    op.execute("""
        CREATE TABLE unanswered (
            kind TEXT NOT NULL,
            object_id BIGINT NOT NULL,
            digest TEXT NOT NULL,
            is_lost BOOLEAN NOT NULL DEFAULT false,
            created TIMESTAMPTZ NOT NULL DEFAULT now(),
            PRIMARY KEY (kind, object_id),
            CONSTRAINT unanswered_kind CHECK (kind IN ('file', 'project'))
        )
    """)
    op.execute("CREATE INDEX unanswered_digest ON unanswered (digest)")


def downgrade() -> None:
    """Nothing is known of it any more."""
    op.drop_table("unanswered")
