"""The secrets of projects. A value can be set, and is never shown again; only jobs get it, as a file.

Values are encrypted (sealed) at rest with a key that only the API has. Without a key no secret is accepted. Rows that an
earlier release wrote in plain text are sealed when an API with a key starts.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, Engine

from scheduler.errors import InvalidInput, NotFound, ServiceUnavailable, SetupError
from scheduler.identifiers import ProjectId
from scheduler.identity import Caller
from scheduler.keyring import KeyMissingError, Keyring
from scheduler.runtime import Runtime
from scheduler.store.admin import audit, secrets
from scheduler.store.admin.secrets import SecretEntry, StoredSecret
from scheduler.store.jobs import submissions

MAX_BYTES = 64 * 1024


def put(rt: Runtime, caller: Caller, project: str, name: str, value: str) -> bool:
    """Set a secret; return True if it is new. Raises NotFound, InvalidInput, and ServiceUnavailable if there is no key."""
    if not value or len(value.encode()) > MAX_BYTES or "\0" in value:
        raise InvalidInput(f"a secret is a text of 1 to {MAX_BYTES} bytes without NUL", field="value")
    with rt.db.begin() as tx:
        project_id = _project(tx, caller, project)
        sealed = rt.keyring.seal(value, _context(project_id, name))
        if sealed is None:
            raise ServiceUnavailable(
                "this API has no key to encrypt secrets with: GANGER_SECRETS_KEY or GANGER_SECRETS_KEY_FILE"
            )
        fresh = secrets.write(tx, project_id, name, *sealed)
        audit.write(tx, caller.name, "secret.set", f"project:{project}", detail={"name": name})
    return fresh


def entries(rt: Runtime, caller: Caller, project: str) -> list[SecretEntry]:
    """Return the names of a project's secrets and the times when they were set. Raises NotFound."""
    with rt.db.begin() as tx:
        return secrets.entries(tx, _project(tx, caller, project))


def remove(rt: Runtime, caller: Caller, project: str, name: str) -> None:
    """Delete a secret; jobs that name it will fail. Raises NotFound."""
    with rt.db.begin() as tx:
        if not secrets.remove(tx, _project(tx, caller, project), name):
            raise NotFound(f"the project {project!r} has no secret {name!r}")
        audit.write(tx, caller.name, "secret.delete", f"project:{project}", detail={"name": name})


def values(tx: Connection, keyring: Keyring, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return secrets by (project, name), for a node; deleted secrets are left out. Raises ServiceUnavailable."""
    try:
        return {(row.project, row.name): _value(row, keyring) for row in secrets.named(tx, wanted)}
    except KeyMissingError as missing:
        raise ServiceUnavailable(
            f"secrets of this job need the key {missing.key_id}, which this API does not have"
        ) from None


def seal_all(db: Engine, keyring: Keyring) -> tuple[int, int]:
    """Seal all secrets with the first key; return how many were plain or sealed with another key, and how many stay plain.

    Secrets stay plain only if there is no key at all. Raises SetupError if one cannot be opened; then nothing is changed.
    """
    first = keyring.first
    with db.begin() as tx:
        rows = secrets.not_under(tx, None if first is None else first.id)
        lost = sorted({missing for row in rows if (missing := _missing(row, keyring))})
        if lost:
            raise SetupError(
                f"secrets are encrypted with the key {', '.join(lost)}, which GANGER_SECRETS_KEY and its file do not have; "
                "give it, or delete these secrets with `ganger setup --drop-lost-secrets`"
            )
        if first is None:
            return 0, len(rows)
        fresh = [(row.id, keyring.seal(_value(row, keyring), _context(row.project_id, row.name))) for row in rows]
        secrets.reseal(tx, first.id, [(row_id, sealed[1]) for row_id, sealed in fresh if sealed is not None])
        return len(rows), 0


def drop_lost(db: Engine, keyring: Keyring) -> list[str]:
    """Delete the secrets that no key opens any more; return `project/name` of each."""
    with db.begin() as tx:
        lost = [row for row in secrets.not_under(tx, None) if _missing(row, keyring)]
        for row in lost:
            secrets.remove(tx, row.project_id, row.name)
            audit.write(tx, "setup", "secret.delete", f"project:{row.project}", detail={"name": row.name})
    return [f"{row.project}/{row.name}" for row in lost]


def _value(row: StoredSecret, keyring: Keyring) -> str:
    if row.value is not None:
        return row.value
    assert row.key_id is not None, "a secret is plain or sealed"  # noqa: S101 - the database checks it
    assert row.sealed is not None, "a secret is plain or sealed"  # noqa: S101 - likewise
    return keyring.open(row.key_id, bytes(row.sealed), _context(row.project_id, row.name))


def _missing(row: StoredSecret, keyring: Keyring) -> str | None:
    try:
        _value(row, keyring)
    except KeyMissingError as missing:
        return missing.key_id
    return None


def _context(project_id: ProjectId, name: str) -> str:
    return f"{project_id}/{name}"


def _project(tx: Connection, caller: Caller, name: str) -> ProjectId:
    found = submissions.project(tx, name) if caller.project in {None, name} else None
    if found is None:
        raise NotFound(f"there is no project {name!r}")
    return found.id
