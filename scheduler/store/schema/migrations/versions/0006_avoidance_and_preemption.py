"""Programs that a node could not start, for whom a try was stopped, and what operators set of preemption and reservations."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the columns; nothing is known of what was before."""
    op.add_column(
        "nodes", sa.Column("launch_suspects", sa.ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'"))
    )
    op.add_column("executions", sa.Column("preempted_for", sa.BigInteger))
    op.create_index(
        "executions_making_room",
        "executions",
        ["preempted_for"],
        postgresql_where=sa.text("preempted_for IS NOT NULL AND released_at IS NULL"),
    )
    op.add_column("leader", sa.Column("preemption", sa.Boolean))
    op.add_column("leader", sa.Column("reservations", sa.Integer))
    op.create_check_constraint("leader_reservations", "leader", "reservations >= 0")


def downgrade() -> None:
    """Go back to the environment's settings for all."""
    op.drop_constraint("leader_reservations", "leader")
    op.drop_column("leader", "reservations")
    op.drop_column("leader", "preemption")
    op.drop_index("executions_making_room")
    op.drop_column("executions", "preempted_for")
    op.drop_column("nodes", "launch_suspects")
