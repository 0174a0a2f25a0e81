"""Credentials of single nodes, what join tokens are limited to, and tokens that are changed for others while both are taken.

Tokens of nodes that there were are join tokens without limits.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the table of credentials and the limits; a node of before gets its credential when it registers next."""
    op.create_table(
        "node_credentials",
        sa.Column("sha256", sa.LargeBinary, primary_key=True),
        sa.Column("node_id", sa.BigInteger, sa.ForeignKey("nodes.id", ondelete="CASCADE"), nullable=False),
        sa.Column("token_id", sa.BigInteger, sa.ForeignKey("tokens.id"), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
    )
    op.create_index("node_credentials_node", "node_credentials", ["node_id"])
    op.add_column("tokens", sa.Column("nodes", sa.ARRAY(sa.Text)))
    op.add_column("tokens", sa.Column("pools", sa.ARRAY(sa.Text)))
    op.add_column("tokens", sa.Column("project_ids", sa.ARRAY(sa.BigInteger)))
    op.create_check_constraint(
        "token_limits", "tokens", "kind = 'node' OR (nodes IS NULL AND pools IS NULL AND project_ids IS NULL)"
    )
    op.add_column("tokens", sa.Column("previous_sha256", sa.LargeBinary, unique=True))
    op.add_column("tokens", sa.Column("previous_until", sa.DateTime(timezone=True)))
    op.add_column("nodes", sa.Column("place", sa.Text))
    op.add_column("nodes", sa.Column("token_id", sa.BigInteger))
    op.add_column("nodes", sa.Column("project_ids", sa.ARRAY(sa.BigInteger)))


def downgrade() -> None:
    """Let every token of a node speak for every node again."""
    for name in ("project_ids", "token_id", "place"):
        op.drop_column("nodes", name)
    op.drop_constraint("token_limits", "tokens")
    for name in ("previous_until", "previous_sha256", "project_ids", "pools", "nodes"):
        op.drop_column("tokens", name)
    op.drop_table("node_credentials")
