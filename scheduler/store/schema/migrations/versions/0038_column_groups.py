"""Versions of data sets have groups of columns."""

from alembic import op

revision = "0038"
down_revision = "0037"


def upgrade() -> None:
    """The release before makes versions without groups."""
    op.execute("ALTER TABLE data_set_versions ADD COLUMN groups JSONB NOT NULL DEFAULT '[]'::jsonb")


def downgrade() -> None:
    """Forget the groups; columns keep their titles."""
    op.execute("ALTER TABLE data_set_versions DROP COLUMN groups")
