"""Tokens: created here, shown once, stored as a digest, and checked with every request."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, create_engine

from scheduler.errors import NotFound, SetupError, Unauthorized
from scheduler.identifiers import ProjectId
from scheduler.identity import Caller, Role
from scheduler.runtime import Runtime
from scheduler.servers import database_address
from scheduler.store.admin import tokens
from scheduler.store.nodes import credentials
from scheduler.store.nodes.credentials import NO_LIMITS, JoinLimits

PREFIX = {"user": "gu_", "node": "gn_"}
"""A token that is found in the wrong place shows what it is. A node's own credential begins with `gc_`."""

CREDENTIAL = "gc_"

RANDOM_BYTES = 32


@dataclass(frozen=True, slots=True)
class JoinTokenLimits:
    """What a node's token lets in: node names (`*` at the end stands for any rest), pools, and whose jobs; None is all."""

    nodes: Sequence[str] | None = None
    pools: Sequence[str] | None = None
    projects: Sequence[str] | None = None


def authenticate(rt: Runtime, secret: str) -> Caller:
    """Return the caller with this token or credential; raises the same Unauthorized for an unknown, revoked or expired one."""
    # One statement is one trip; `api.http.auth` remembers its answer for a second at most.
    with rt.db.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if secret.startswith(CREDENTIAL):
            return _node(connection, digest(secret))
        found = _recognise(connection, secret)
        if found is None:
            raise Unauthorized("the token is not valid")
        if not found.is_touched:
            tokens.touch(connection, found.id)
    role = None if found.role is None else Role[found.role.upper()]
    return Caller(found.id, found.name, role, found.project_id, found.project, expires=found.expires)


def _node(connection: Connection, sha256: bytes) -> Caller:
    found = credentials.find(connection, sha256)
    if found is None:
        raise Unauthorized("the node's credential is not valid")
    if found.others:
        credentials.confirm(connection, sha256)
    return Caller(found.token_id, found.name, None, node_id=found.node_id, node=found.name, credential=sha256)


def create(
    rt: Runtime,
    *,
    kind: str,
    role: Role | None,
    project: str | None,
    name: str,
    expires: datetime | None = None,
    join: JoinTokenLimits | None = None,
) -> tuple[int, str]:
    """Create a token; return its id and its secret, which cannot be shown again. Raises NotFound for a project."""
    with rt.db.begin() as tx:
        return _create(tx, kind=kind, role=role, project=project, name=name, expires=expires, join=join)


def ensure(
    url: str,
    *,
    kind: str,
    role: str | None,
    project: str | None,
    name: str,
    path: Path,
    join: JoinTokenLimits | None = None,
) -> str:
    """Return the secret in the file at `path`; create token and file (0600) if the file has no valid token.

    `join` limits a new token of a node. Safe to repeat and to call from several processes. Raises SetupError when the file cannot be written.
    """
    engine = create_engine(database_address.read(url))
    try:
        with engine.begin() as tx:
            tokens.serialize(tx, f"token file {path}")
            kept = _read(path)
            if kept and (found := _recognise(tx, kept)) and found.kind == kind:
                return kept
            meant = None if role is None else Role[role.upper()]
            _, secret = _create(tx, kind=kind, role=meant, project=project, name=name, join=join)
            _write(path, secret)  # before the commit: a file without a valid token is replaced at the next start
            return secret
    finally:
        engine.dispose()


def fresh(kind: str) -> str:
    """Return a new token of this kind, which nobody knows yet."""
    return PREFIX[kind] + secrets.token_urlsafe(RANDOM_BYTES)


def digest(secret: str) -> bytes:
    """Return the digest that is stored of a token."""
    return hashlib.sha256(secret.encode()).digest()


def _create(
    tx: Connection,
    *,
    kind: str,
    role: Role | None,
    project: str | None,
    name: str,
    expires: datetime | None = None,
    join: JoinTokenLimits | None = None,
) -> tuple[int, str]:
    project_id = None if project is None else _project(tx, project, "project")
    limits = NO_LIMITS
    if join is not None:
        ids = None if join.projects is None else [_project(tx, one, "projects") for one in join.projects]
        limits = JoinLimits(_listed(join.nodes), _listed(join.pools), ids)
    secret = fresh(kind)
    word = None if role is None else role.name.lower()
    made = tokens.insert(
        tx,
        kind=kind,
        name=name,
        sha256=digest(secret),
        role=word,
        project_id=project_id,
        expires=expires,
        limits=limits,
    )
    return made, secret


def _project(tx: Connection, name: str, field: str) -> ProjectId:
    found = tokens.project_id(tx, name)
    if found is None:
        raise NotFound(f"there is no project {name!r}", field=field)
    return found


def _listed(words: Sequence[str] | None) -> list[str] | None:
    return None if words is None else list(words)


def _recognise(tx: Connection, secret: str) -> tokens.ValidToken | None:
    # The index finds a digest, never a secret: its timing tells nothing that is useful without a preimage.
    return tokens.find(tx, digest(secret))


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SetupError(f"cannot read the token file {path}: {error.strerror}") from error


def _write(path: Path, secret: str) -> None:
    """Write the file as a whole or not at all, readable only by its owner."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secret + "\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise SetupError(f"cannot write the token file {path}: {error.strerror}") from error
