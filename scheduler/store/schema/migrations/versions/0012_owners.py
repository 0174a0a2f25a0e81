"""Owners: a job type and a named error belong to a project or to the installation, and types are let at a project's secrets by name.

All that was there belongs to the installation. Types that named secrets and had jobs of a project keep that project's leave.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_INSTALLATION = sa.text("project_id IS NULL")
_PROJECT = sa.text("project_id IS NOT NULL")

_LEAVE = """
    UPDATE projects p
    SET secret_types = used.names
    FROM (
        SELECT s.project_id, array_agg(DISTINCT t.name) AS names
        FROM shapes s
        JOIN job_types t ON t.id = s.job_type_id
        WHERE EXISTS (SELECT FROM job_type_revisions r
                      WHERE r.job_type_id = t.id AND r.definition -> 'secrets' NOT IN ('[]', 'null'))
        GROUP BY s.project_id
    ) AS used
    WHERE used.project_id = p.id
"""


def upgrade() -> None:
    """Add the owners, and names that are unique among what one owner has."""
    op.add_column("projects", sa.Column("secret_types", sa.ARRAY(sa.Text), nullable=False, server_default="{}"))
    for table in ("job_types", "errors"):
        op.add_column(table, sa.Column("project_id", sa.BigInteger, sa.ForeignKey("projects.id")))
    op.drop_constraint("job_type_name_version", "job_types")
    op.create_index(
        "job_type_name_version", "job_types", ["name", "version"], unique=True, postgresql_where=_INSTALLATION
    )
    op.create_index(
        "job_type_of_project",
        "job_types",
        ["project_id", "name", "version"],
        unique=True,
        postgresql_where=_PROJECT,
    )
    op.create_check_constraint("job_type_owner", "job_types", "NOT is_system OR project_id IS NULL")
    op.drop_constraint("errors_name_key", "errors")
    op.create_index("error_name", "errors", ["name"], unique=True, postgresql_where=_INSTALLATION)
    op.create_index("error_of_project", "errors", ["project_id", "name"], unique=True, postgresql_where=_PROJECT)
    op.create_check_constraint("error_owner", "errors", "NOT is_builtin OR project_id IS NULL")
    op.execute(_LEAVE)


def downgrade() -> None:
    """Give everything back to the installation. Fails where two projects have a type or an error of one name."""
    op.drop_constraint("error_owner", "errors")
    op.drop_index("error_of_project")
    op.drop_index("error_name")
    op.create_unique_constraint("errors_name_key", "errors", ["name"])
    op.drop_constraint("job_type_owner", "job_types")
    op.drop_index("job_type_of_project")
    op.drop_index("job_type_name_version")
    op.create_unique_constraint("job_type_name_version", "job_types", ["name", "version"])
    for table in ("job_types", "errors"):
        op.drop_column(table, "project_id")
    op.drop_column("projects", "secret_types")
