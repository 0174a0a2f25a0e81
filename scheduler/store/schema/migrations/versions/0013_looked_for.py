"""Jobs are looked for by name, files by their content."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the indexes."""
    op.create_index(
        "jobs_name_modified",
        "jobs",
        ["name", "last_modified", "id"],
        postgresql_include=["status", "job_type_id", "project_id"],
        postgresql_where=sa.text("name IS NOT NULL"),
    )
    op.create_index("files_sha256", "files", ["sha256", "project_id"])


def downgrade() -> None:
    """Take them away."""
    op.drop_index("files_sha256", "files")
    op.drop_index("jobs_name_modified", "jobs")
