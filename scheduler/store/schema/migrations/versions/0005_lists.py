"""Lists of jobs by project, node, pool, error and workflow: an index each, and the pool beside the job.

And new jobs are held to what they name once for all of them, not row by row: ten thousand jobs of one shape made ten
thousand checks of the same row, which took longer than to write them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_CARRIED = {
    "jobs_type_modified": ("job_type_id", ["status", "project_id"], None),
    "jobs_project_modified": ("project_id", ["status", "job_type_id"], None),
    "jobs_node_modified": ("node_id", ["status", "job_type_id", "project_id"], "node_id IS NOT NULL"),
    "jobs_error_modified": ("error_id", ["job_type_id", "project_id", "node_id"], "error_id IS NOT NULL"),
    "jobs_pool_modified": ("pool", ["status", "job_type_id", "project_id"], "pool IS NOT NULL"),
    "jobs_workflow_modified": ("workflow_id", ["status", "job_type_id", "project_id"], "workflow_id IS NOT NULL"),
}

_GUARDS = """
CREATE FUNCTION ganger_guard_new_jobs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM (SELECT DISTINCT shape_id, revision_id FROM made) AS m
               WHERE NOT EXISTS (SELECT FROM shapes s WHERE s.id = m.shape_id)
                  OR NOT EXISTS (SELECT FROM job_type_revisions r WHERE r.id = m.revision_id)) THEN
        RAISE foreign_key_violation USING MESSAGE = 'a job of a shape or revision that is not there';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER guard_new_jobs AFTER INSERT ON jobs REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION ganger_guard_new_jobs();

CREATE FUNCTION ganger_guard_new_specs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM made m WHERE NOT EXISTS (SELECT FROM jobs j WHERE j.id = m.job_id))
       OR EXISTS (SELECT FROM (SELECT DISTINCT created_by FROM made WHERE created_by IS NOT NULL) AS m
                  WHERE NOT EXISTS (SELECT FROM tokens t WHERE t.id = m.created_by)) THEN
        RAISE foreign_key_violation USING MESSAGE = 'the specs of a job, or of a token, that is not there';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER guard_new_specs AFTER INSERT ON job_specs REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION ganger_guard_new_specs();
"""
_CHECKED_IN_SETS = (
    ("jobs", "shape_id", "shapes"),
    ("jobs", "revision_id", "job_type_revisions"),
    ("job_specs", "job_id", "jobs"),
    ("job_specs", "created_by", "tokens"),
)


def upgrade() -> None:
    """Add the column and the indexes; the uuid needs none."""
    for table, column, _ in _CHECKED_IN_SETS:
        op.drop_constraint(f"{table}_{column}_fkey", table)
    op.execute(_GUARDS)
    op.add_column("jobs", sa.Column("pool", sa.Text))
    op.execute("UPDATE jobs j SET pool = s.pool FROM shapes s WHERE s.id = j.shape_id AND s.pool IS NOT NULL")
    op.drop_constraint("jobs_uuid_key", "jobs")
    op.drop_index("jobs_modified")
    op.drop_index("jobs_type_modified")
    carried = ["status", "job_type_id", "project_id", "node_id", "error_id", "pool"]
    op.create_index("jobs_modified", "jobs", ["last_modified", "id"], postgresql_include=carried)
    carried = ["status", "job_type_id", "project_id"]
    op.create_index("jobs_changed", "jobs", ["last_status_change", "id"], postgresql_include=carried)
    for name, (column, others, where) in _CARRIED.items():
        op.create_index(
            name,
            "jobs",
            [column, "last_modified", "id"],
            postgresql_include=others,
            postgresql_where=sa.text(where) if where else None,
        )


def downgrade() -> None:
    """Go back to the indexes of before."""
    for name in ["jobs_modified", "jobs_changed", *_CARRIED]:
        op.drop_index(name)
    op.create_index(
        "jobs_modified",
        "jobs",
        ["last_modified", "id"],
        postgresql_include=["status", "job_type_id", "project_id", "node_id", "error_id"],
    )
    op.create_index("jobs_type_modified", "jobs", ["job_type_id", "last_modified", "id"])
    op.create_unique_constraint("jobs_uuid_key", "jobs", ["uuid"])
    op.drop_column("jobs", "pool")
    for table, guard in (("jobs", "jobs"), ("job_specs", "specs")):
        op.execute(f"DROP TRIGGER guard_new_{guard} ON {table}")
        op.execute(f"DROP FUNCTION ganger_guard_new_{guard}()")
    for table, column, target in _CHECKED_IN_SETS:
        op.create_foreign_key(f"{table}_{column}_fkey", table, target, [column], ["id"])
