"""The source of the keys for secrets, and what the API does with them before it answers the first request."""

from __future__ import annotations

from api.up.embedded import state
from scheduler import keyring, log, runtime
from scheduler.admin import secrets
from scheduler.keyring import Keyring
from scheduler.settings import Settings


def given(settings: Settings) -> Keyring:
    """Return the keys for secrets: those of the setting, else of the file it names, else of the state folder's, if any.

    Raises SetupError where there is something that is no key.
    """
    if settings.secrets_key is not None:
        return keyring.parse(settings.secrets_key.get_secret_value(), "GANGER_SECRETS_KEY")
    if settings.secrets_key_file is not None:
        return keyring.read(settings.secrets_key_file)
    usual = (settings.state_dir or state.default_root()) / state.SECRETS_KEY
    return keyring.read(usual) if usual.is_file() else keyring.NO_KEYS


def seal(settings: Settings, url: str, keys: Keyring) -> None:
    """Encrypt secrets that are not, or not with the first key. Raises SetupError if one needs a key that is not there.

    Raises OperationalError or ProgrammingError where the database is away, or has no schema yet.
    """
    engine = runtime.connect(url, settings, name="ganger-api-start")
    try:
        sealed, plain = secrets.seal_all(engine, keys)
    finally:
        engine.dispose()
    if sealed and keys.first is not None:
        log.log.info("secrets.sealed", count=sealed, key=keys.first.id)
    if plain:
        log.log.warning("secrets.plain", count=plain, remedy="give GANGER_SECRETS_KEY or GANGER_SECRETS_KEY_FILE")
