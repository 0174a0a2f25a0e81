"""Workspaces of some projects only, and the right to register what lies there already."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """A workspace from before serves all projects, and only operators register what lies there."""
    op.add_column("workspaces", sa.Column("project_ids", ARRAY(sa.BigInteger)))
    op.add_column("workspaces", sa.Column("register_role", sa.Text, nullable=False, server_default="operator"))


def downgrade() -> None:
    """Forget both."""
    op.drop_column("workspaces", "register_role")
    op.drop_column("workspaces", "project_ids")
