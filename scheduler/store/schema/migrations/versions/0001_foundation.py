"""The foundation: every table of the first release, its triggers, and the rows that must always be there."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the two files beside this one."""
    for name in ("0001_foundation.sql", "0001_triggers.sql"):
        # The driver takes a file of many statements only as it stands, without parameters.
        op.get_bind().connection.cursor().execute(Path(__file__).with_name(name).read_bytes())


def downgrade() -> None:
    """There is nothing before the foundation."""
