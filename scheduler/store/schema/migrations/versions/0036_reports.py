"""Reports on data sets: specifications, and the figures that their runs have told."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    """The release before makes no reports, and passes the jobs of others over."""
    op.drop_constraint("data_set_work", "data_set_jobs")
    op.create_check_constraint("data_set_work", "data_set_jobs", "work IN ('create', 'update', 'query', 'report')")
    op.create_table(
        "data_set_specifications",
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), primary_key=True),
        sa.Column("uuid", sa.Uuid, nullable=False, unique=True, server_default=sa.text("gen_random_uuid()")),
        sa.Column("data_set_id", sa.BigInteger, sa.ForeignKey("data_sets.id"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("autorun", sa.Boolean, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False, server_default="0"),
        sa.Column("asked", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.Column("created_by", sa.BigInteger, nullable=False),
        sa.Column("created_by_name", sa.Text, nullable=False),
    )
    op.create_index("data_set_specifications_set", "data_set_specifications", ["data_set_id", "id"])
    op.create_table(
        "data_set_reports",
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), primary_key=True),
        sa.Column("uuid", sa.Uuid, nullable=False, unique=True),
        sa.Column("specification_id", sa.BigInteger, sa.ForeignKey("data_set_specifications.id"), nullable=False),
        sa.Column("specification", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("told", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
    )
    op.create_index("data_set_reports_specification", "data_set_reports", ["specification_id", "id"])


def downgrade() -> None:
    """Forget all reports."""
    op.drop_table("data_set_reports")
    op.drop_table("data_set_specifications")
    op.execute("DELETE FROM data_set_jobs WHERE work = 'report'")
    op.drop_constraint("data_set_work", "data_set_jobs")
    op.create_check_constraint("data_set_work", "data_set_jobs", "work IN ('create', 'update', 'query')")
