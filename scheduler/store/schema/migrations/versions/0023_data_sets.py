"""Versioned data sets of projects, and an id of a project that other systems' clients take."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Add tables and a column; the release before knows nothing of them."""
    op.add_column(
        "projects",
        sa.Column("uuid", sa.Uuid, nullable=False, unique=True, server_default=sa.text("gen_random_uuid()")),
    )
    _sets()
    _versions()
    _jobs()
    op.create_table(
        "data_set_files",
        sa.Column("file_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("data_set_id", sa.BigInteger, sa.ForeignKey("data_sets.id"), nullable=False),
    )
    op.create_index("data_set_files_set", "data_set_files", ["data_set_id"])


def downgrade() -> None:
    """Forget all data sets; their files are ordinary outputs again."""
    for table in ("data_set_files", "data_set_jobs", "data_set_versions", "data_sets"):
        op.drop_table(table)
    op.drop_column("projects", "uuid")


def _sets() -> None:
    op.create_table(
        "data_sets",
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), primary_key=True),
        sa.Column("uuid", sa.Uuid, nullable=False, unique=True, server_default=sa.text("gen_random_uuid()")),
        sa.Column("project_id", sa.BigInteger, sa.ForeignKey("projects.id"), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("definition", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.Column("about", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.Column("latest", sa.Integer, nullable=False, server_default="0"),
        sa.Column("created_by", sa.BigInteger, nullable=False),
        sa.Column("created_by_name", sa.Text, nullable=False),
        sa.Column("modified_by", sa.BigInteger, nullable=False),
        sa.Column("modified_by_name", sa.Text, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("last_modified", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("deleted", sa.DateTime(timezone=True)),
        sa.CheckConstraint("latest >= 0", name="data_set_latest"),
    )
    op.create_index(
        "data_sets_name",
        "data_sets",
        ["project_id", "kind", "name"],
        unique=True,
        postgresql_where=sa.text("deleted IS NULL"),
    )
    op.create_index("data_sets_project", "data_sets", ["project_id", "last_modified", "id"])


def _versions() -> None:
    op.create_table(
        "data_set_versions",
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), primary_key=True),
        sa.Column("uuid", sa.Uuid, nullable=False, unique=True),
        sa.Column("data_set_id", sa.BigInteger, sa.ForeignKey("data_sets.id"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("parent", sa.Integer, nullable=False),
        sa.Column("base", sa.Integer),
        sa.Column("job_id", sa.BigInteger, nullable=False),
        sa.Column("comment", sa.Text, nullable=False, server_default=""),
        sa.Column("columns", JSONB, nullable=False, server_default=sa.text("'[]'::jsonb")),
        sa.Column("bounds", JSONB),
        sa.Column("created_by", sa.BigInteger, nullable=False),
        sa.Column("created_by_name", sa.Text, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.UniqueConstraint("data_set_id", "number", name="data_set_version_number"),
        sa.CheckConstraint("number >= 1 AND parent = number - 1", name="data_set_version_parent"),
    )


def _jobs() -> None:
    op.create_table(
        "data_set_jobs",
        sa.Column("job_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("job_uuid", sa.Uuid, nullable=False),
        sa.Column("data_set_id", sa.BigInteger, sa.ForeignKey("data_sets.id"), nullable=False),
        sa.Column("work", sa.Text, nullable=False),
        sa.Column("version_uuid", sa.Uuid, nullable=False),
        sa.Column("request", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.Column("problem", JSONB),
        sa.Column("created_by", sa.BigInteger, nullable=False),
        sa.Column("created_by_name", sa.Text, nullable=False),
        sa.CheckConstraint("work IN ('create', 'update', 'query')", name="data_set_work"),
        sa.UniqueConstraint("data_set_id", "job_uuid", name="data_set_job_uuid"),
    )
