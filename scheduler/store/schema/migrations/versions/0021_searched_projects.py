"""Who made a project, what faces keep of it, and what users have deleted: jobs, workflows and whole projects."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Nobody is known to have made the projects from before, and nothing of them was deleted."""
    op.add_column("projects", sa.Column("created_by", sa.Text, nullable=False, server_default=""))
    op.add_column("projects", sa.Column("attributes", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")))
    op.add_column("projects", sa.Column("deleted", sa.DateTime(timezone=True)))
    op.create_table(
        "deletions",
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("object_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("project_id", sa.BigInteger, sa.ForeignKey("projects.id"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("actor", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("kind", "object_id"),
        sa.CheckConstraint("kind IN ('job', 'workflow')", name="deletion_kind"),
    )


def downgrade() -> None:
    """Forget it."""
    op.drop_table("deletions")
    for name in ("deleted", "attributes", "created_by"):
        op.drop_column("projects", name)
