"""Set-up of an installation: upgrades the database schema and registers the first tokens. Safe to repeat at every start."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from scheduler import keyring
from scheduler.admin import secrets, tokens
from scheduler.errors import SetupError
from scheduler.keyring import Keyring
from scheduler.servers import database_address
from scheduler.store.admin import tokens as store
from scheduler.store.schema import migrations

_LEAST_SECRET = 32
"""Fewest characters of a token that somebody else chose; the tokens that deployment tools make are longer."""

_AGAIN_S = 0.5
_LINE_EVERY_S = 60.0
"""While it waits, the reason is said this often, and whenever it changes."""


def set_up(
    url: str,
    *,
    admin: Path | None = None,
    viewer: Path | None = None,
    node: Path | None = None,
    secrets_key: Path | None = None,
    within_s: float,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Wait for the database, upgrade its schema, and make the tokens in these files valid.

    The token in a file that exists is registered, so that a deployment can choose it. A file that is missing or empty is
    written (0600); the same holds for the file with the key for secrets. Raises SetupError.
    """
    _await(url, within_s, say)
    try:
        migrations.upgrade(database_address.read(url))
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise SetupError(f"the database's schema cannot be brought up to date: {reason}") from error
    say(f"the database has schema {migrations.head()}")
    for path, kind, role in ((admin, "user", "admin"), (viewer, "user", "viewer"), (node, "node", None)):
        if path is not None:
            _token(url, path, kind, role)
            say(f"{path} has the {role or kind} token")
    if secrets_key is not None:
        first = keyring.ensure(secrets_key).keys[0]
        say(f"{secrets_key} has the key {first.id} for secrets; back it up apart from the database")


def drop_lost_secrets(url: str, keys: Keyring, say: Callable[[str], None]) -> None:
    """Delete the secrets that none of these keys opens; each is named to `say`."""
    engine = create_engine(database_address.read(url), hide_parameters=True)
    try:
        for name in secrets.drop_lost(engine, keys):
            say(f"deleted the secret {name}, which no key opens")
    finally:
        engine.dispose()


def _await(url: str, within_s: float, say: Callable[[str], None]) -> None:
    engine = create_engine(database_address.read(url), connect_args={"connect_timeout": 5})
    deadline, told, told_at = time.monotonic() + within_s, "", 0.0
    try:
        while True:
            try:
                with engine.connect():
                    return
            except OperationalError as error:
                reason = str(error.orig).strip().partition("\n")[0]
                if time.monotonic() > deadline:
                    raise SetupError(f"the database cannot be reached: {reason}") from error
                if reason != told or time.monotonic() - told_at >= _LINE_EVERY_S:
                    say(f"waiting for the database: {reason}")
                    told, told_at = reason, time.monotonic()
                time.sleep(_AGAIN_S)
    finally:
        engine.dispose()


def _token(url: str, path: Path, kind: str, role: str | None) -> None:
    secret = path.read_text().strip() if path.is_file() else ""
    if not secret:
        tokens.ensure(url, kind=kind, role=role, project=None, name=role or kind, path=path)
        return
    if len(secret) < _LEAST_SECRET:
        raise SetupError(f"the token in {path} has {len(secret)} characters; {_LEAST_SECRET} is the least that is safe")
    engine = create_engine(database_address.read(url), hide_parameters=True)
    try:
        with engine.begin() as tx:
            store.serialize(tx, f"token file {path}")
            found = store.find(tx, tokens.digest(secret))
            if found is not None and (found.kind, found.role) != (kind, role):
                raise SetupError(f"the token in {path} is known already, but as another kind")
            if found is None:
                store.insert(tx, kind=kind, name=role or kind, sha256=tokens.digest(secret), role=role, project_id=None)
    finally:
        engine.dispose()
