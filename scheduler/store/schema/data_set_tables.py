"""The tables of versioned data sets: the sets, their versions, the jobs that read and make them, and the files that they keep."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from scheduler.rules.data_sets.words import DataSetWork
from scheduler.store.schema.columns import document, identity, moment, one_of, reference
from scheduler.store.schema.project_tables import metadata

data_sets = Table(
    "data_sets",
    metadata,
    identity(),
    Column("uuid", Uuid, nullable=False, unique=True, server_default=text("gen_random_uuid()")),
    reference("project_id", "projects.id"),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    # What never changes, such as a grid; and what people say of it, which may.
    document("definition"),
    document("about"),
    # The number of the newest version; 0 before there is one.
    Column("latest", Integer, nullable=False, server_default="0"),
    # Tokens may go, and a set still says who made it.
    Column("created_by", BigInteger, nullable=False),
    Column("created_by_name", Text, nullable=False),
    Column("modified_by", BigInteger, nullable=False),
    Column("modified_by_name", Text, nullable=False),
    moment("created", now=True),
    moment("last_modified", now=True),
    moment("deleted"),
    CheckConstraint("latest >= 0", name="data_set_latest"),
)
Index(
    "data_sets_name",
    data_sets.c.project_id,
    data_sets.c.kind,
    data_sets.c.name,
    unique=True,
    postgresql_where=text("deleted IS NULL"),
)
Index("data_sets_project", data_sets.c.project_id, data_sets.c.last_modified, data_sets.c.id)

data_set_versions = Table(
    "data_set_versions",
    metadata,
    identity(),
    Column("uuid", Uuid, nullable=False, unique=True),
    reference("data_set_id", "data_sets.id"),
    Column("number", Integer, nullable=False),
    Column("parent", Integer, nullable=False),
    Column("base", Integer),
    # Without a reference: jobs age out, versions do not.
    Column("job_id", BigInteger, nullable=False),
    Column("comment", Text, nullable=False, server_default=""),
    document("columns", default="[]"),
    document("groups", default="[]"),
    document("bounds", default=None),
    Column("created_by", BigInteger, nullable=False),
    Column("created_by_name", Text, nullable=False),
    moment("created", now=True),
    UniqueConstraint("data_set_id", "number", name="data_set_version_number"),
    CheckConstraint("number >= 1 AND parent = number - 1", name="data_set_version_parent"),
)

data_set_jobs = Table(
    "data_set_jobs",
    metadata,
    Column("job_id", BigInteger, primary_key=True, autoincrement=False),
    Column("job_uuid", Uuid, nullable=False),
    reference("data_set_id", "data_sets.id"),
    Column("work", Text, nullable=False),
    # The version that it reads (a query), or the one that it will make.
    Column("version_uuid", Uuid, nullable=False),
    document("request"),
    # What was wrong with the data, where the program says so.
    document("problem", default=None),
    Column("created_by", BigInteger, nullable=False),
    Column("created_by_name", Text, nullable=False),
    one_of("work", DataSetWork, "data_set_work"),
    UniqueConstraint("data_set_id", "job_uuid", name="data_set_job_uuid"),
)

# Files of versions: retention keeps them, and nobody deletes them one by one.
data_set_files = Table(
    "data_set_files",
    metadata,
    Column("file_id", BigInteger, primary_key=True, autoincrement=False),
    reference("data_set_id", "data_sets.id"),
)
Index("data_set_files_set", data_set_files.c.data_set_id)

data_set_specifications = Table(
    "data_set_specifications",
    metadata,
    identity(),
    Column("uuid", Uuid, nullable=False, unique=True, server_default=text("gen_random_uuid()")),
    reference("data_set_id", "data_sets.id"),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("autorun", Boolean, nullable=False),
    Column("revision", Integer, nullable=False, server_default="0"),
    document("asked"),
    Column("created_by", BigInteger, nullable=False),
    Column("created_by_name", Text, nullable=False),
)
Index("data_set_specifications_set", data_set_specifications.c.data_set_id, data_set_specifications.c.id)

# What reports have told. The specification may change afterwards: what a result was made of stands beside it.
data_set_reports = Table(
    "data_set_reports",
    metadata,
    identity(),
    Column("uuid", Uuid, nullable=False, unique=True),
    reference("specification_id", "data_set_specifications.id"),
    document("specification"),
    Column("version", Integer, nullable=False),
    document("told"),
    moment("created", now=True),
)
Index("data_set_reports_specification", data_set_reports.c.specification_id, data_set_reports.c.id)
