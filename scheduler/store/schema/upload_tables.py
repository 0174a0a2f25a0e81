"""The tables of uploads: the inputs that jobs await, and the blocks of those that come in pieces.

Rows tell what has come and where it lies; bytes are in no row.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from scheduler.store.schema.columns import identity, moment, reference
from scheduler.store.schema.project_tables import metadata

uploads = Table(
    "uploads",
    metadata,
    identity(),
    # Of the file that it becomes, too: an address leads to the one before, to the other after.
    Column("uuid", Uuid, nullable=False, unique=True, server_default=text("gen_random_uuid()")),
    # No foreign key: when a job is purged, what was staged for it still has to be removed.
    Column("job_id", BigInteger, nullable=False),
    reference("project_id", "projects.id"),
    reference("workspace_id", "workspaces.id"),
    Column("name", Text, nullable=False),
    # What was asked for.
    Column("file_name", Text, nullable=False),
    Column("media_type", Text),
    Column("max_size", BigInteger, nullable=False),
    Column("sha256", Text),
    Column("is_optional", Boolean, nullable=False),
    moment("expires", now=True),
    # Whether the job's memory and disk grow with its input, or are what it asked for itself.
    Column("mem_grows", Boolean, nullable=False),
    Column("disk_grows", Boolean, nullable=False),
    # The folder of what is on its way. It changes when it has been emptied, so that nothing old is taken for new.
    Column("stage", Uuid, nullable=False, server_default=text("gen_random_uuid()")),
    Column("staged_bytes", BigInteger, nullable=False, server_default="0"),
    Column("staged_blocks", Integer, nullable=False, server_default="0"),
    # The content that is there as a whole.
    Column("path", Text),
    Column("size", BigInteger),
    Column("digest", Text),
    Column("type", Text),
    moment("received"),
    # Since when its job has it, or does without.
    moment("taken"),
    reference("file_id", "files.id", nullable=True),
    moment("cleared"),
    moment("created", now=True),
    UniqueConstraint("job_id", "name", name="upload_name"),
    CheckConstraint("max_size >= 0 AND staged_bytes >= 0 AND staged_blocks >= 0", name="upload_sizes"),
    CheckConstraint(
        "(path IS NULL) = (size IS NULL) AND (path IS NULL) = (digest IS NULL) AND (path IS NULL) = (received IS NULL)",
        name="upload_whole",
    ),
)
Index("uploads_staged", uploads.c.expires, postgresql_where=text("cleared IS NULL"))

upload_blocks = Table(
    "upload_blocks",
    metadata,
    Column("upload_id", BigInteger, ForeignKey("uploads.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    # Where it lies by itself; or from where on it is in the whole content.
    Column("path", Text),
    Column("start", BigInteger),
    moment("at", now=True),
    CheckConstraint("(path IS NULL) = (start IS NOT NULL)", name="upload_block_place"),
)
