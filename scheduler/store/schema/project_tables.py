"""The tables of who there is: projects with their secrets and shares, and the tokens of callers."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from scheduler.store.schema.columns import document, identity, moment, moved_xid, one_of, reference

metadata = MetaData()

DELETED_KINDS = ("job", "workflow")
ROLES = ("viewer", "submitter", "operator", "admin")

projects = Table(
    "projects",
    metadata,
    identity(),
    # The id that clients know which take none but these.
    Column("uuid", Uuid, nullable=False, unique=True, server_default=text("gen_random_uuid()")),
    Column("name", Text, nullable=False, unique=True),
    Column("title", Text, nullable=False, server_default=""),
    Column("weight", Float, nullable=False, server_default="1"),
    Column("is_paused", Boolean, nullable=False, server_default="false"),
    Column("pause_reason", Text),
    document("quota"),
    document("retention"),
    document("demands"),
    # The installation's job types that may name secrets of this project, by name.
    Column("secret_types", ARRAY(Text), nullable=False, server_default="{}"),
    Column("created_by", Text, nullable=False, server_default=""),
    # What faces keep of it for their clients; no rule reads it.
    document("attributes"),
    moment("created", now=True),
    moment("last_modified", now=True),
    # Nothing of it is seen any more, and what it has goes with the sweeps.
    moment("deleted"),
    moved_xid(),
    CheckConstraint("weight > 0", name="project_weight"),
)

tokens = Table(
    "tokens",
    metadata,
    identity(),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("sha256", LargeBinary, nullable=False, unique=True),
    Column("role", Text),
    reference("project_id", "projects.id", nullable=True),
    moment("created", now=True),
    moment("expires"),
    moment("revoked"),
    moment("last_used"),
    # Before it was changed for another one; taken beside it until then.
    Column("previous_sha256", LargeBinary, unique=True),
    moment("previous_until"),
    # What nodes a join token lets in, by name (a `*` at the end stands for any rest) and pool, and whose jobs they get.
    Column("nodes", ARRAY(Text)),
    Column("pools", ARRAY(Text)),
    Column("project_ids", ARRAY(BigInteger)),
    one_of("kind", ("user", "node"), "token_kind"),
    CheckConstraint("(kind = 'user') = (role IS NOT NULL)", name="token_role"),
    one_of("role", ROLES, "token_role_word"),
    CheckConstraint(
        "kind = 'node' OR (nodes IS NULL AND pools IS NULL AND project_ids IS NULL)",
        name="token_limits",
    ),
)

# Browsers that have signed in. The digest is of the session's own secret; `token_sha256` says with which secret of the
# token it began, so that it ends when that does.
sessions = Table(
    "sessions",
    metadata,
    identity(),
    Column("sha256", LargeBinary, nullable=False, unique=True),
    reference("token_id", "tokens.id"),
    Column("token_sha256", LargeBinary, nullable=False),
    Column("browser", Text, nullable=False, server_default=""),
    moment("created", now=True),
    moment("seen", now=True),
    Column("ends", DateTime(timezone=True), nullable=False),
)
Index("sessions_of_token", sessions.c.token_id)

login_codes = Table(
    "login_codes",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    reference("token_id", "tokens.id"),
    Column("token_sha256", LargeBinary, nullable=False),
    Column("expires", DateTime(timezone=True), nullable=False),
)

secrets = Table(
    "secrets",
    metadata,
    identity(),
    reference("project_id", "projects.id"),
    Column("name", Text, nullable=False),
    Column("value", Text),
    moment("created", now=True),
    moment("last_modified", now=True),
    Column("key_id", Text),
    Column("sealed", LargeBinary),
    UniqueConstraint("project_id", "name", name="secret_name"),
    CheckConstraint("(value IS NULL) = (sealed IS NOT NULL)", name="secret_once"),
    CheckConstraint("(sealed IS NULL) = (key_id IS NULL)", name="secret_key"),
)

# Decayed dominant share of each project, what it is owed in seconds of the whole fleet, and the share by which that lifts it now.
usage = Table(
    "usage",
    metadata,
    Column("project_id", BigInteger, ForeignKey("projects.id"), primary_key=True),
    Column("share", Float, nullable=False, server_default="0"),
    Column("lag_s", Float, nullable=False, server_default="0"),
    Column("credit", Float, nullable=False, server_default="0"),
    moment("at", now=True),
)

# What users have deleted that could not go at once: hidden from then on, and gone when it is at rest.
deletions = Table(
    "deletions",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("object_id", BigInteger, primary_key=True, autoincrement=False),
    reference("project_id", "projects.id"),
    moment("at", now=True),
    Column("actor", Text, nullable=False),
    one_of("kind", DELETED_KINDS, "deletion_kind"),
)
