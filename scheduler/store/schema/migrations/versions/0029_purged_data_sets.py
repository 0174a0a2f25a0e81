"""Deleted data sets age out; how many did is told like the rest."""

from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """What was recorded so far is of the kinds that were."""
    op.drop_constraint("purge_what", "purges", type_="check")
    op.create_check_constraint("purge_what", "purges", "what IN ('jobs', 'output', 'files', 'data-sets')")


def downgrade() -> None:
    """What was recorded of data sets is forgotten."""
    op.execute("DELETE FROM purges WHERE what = 'data-sets'")
    op.drop_constraint("purge_what", "purges", type_="check")
    op.create_check_constraint("purge_what", "purges", "what IN ('jobs', 'output', 'files')")
