"""Gangs: jobs whose members are placed together, each an execution of its own under one attempt."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Let an attempt have many executions, told apart by their number in it; what there is becomes member 0 of one."""
    op.add_column("jobs", sa.Column("members", sa.Integer, nullable=False, server_default="1"))
    op.create_check_constraint("job_members", "jobs", "members >= 1")
    op.add_column("executions", sa.Column("member", sa.Integer, nullable=False, server_default="0"))
    op.drop_constraint("execution_attempt", "executions")
    op.create_unique_constraint("execution_attempt", "executions", ["job_id", "attempt", "member"])
    op.drop_index("executions_live", "executions")
    op.create_index(
        "executions_live",
        "executions",
        ["job_id", "member"],
        unique=True,
        postgresql_where=sa.text("released_at IS NULL"),
    )


def downgrade() -> None:
    """Go back; fails where a gang was ever placed."""
    op.drop_index("executions_live", "executions")
    op.create_index(
        "executions_live", "executions", ["job_id"], unique=True, postgresql_where=sa.text("released_at IS NULL")
    )
    op.drop_constraint("execution_attempt", "executions")
    op.create_unique_constraint("execution_attempt", "executions", ["job_id", "attempt"])
    op.drop_column("executions", "member")
    op.drop_constraint("job_members", "jobs")
    op.drop_column("jobs", "members")
