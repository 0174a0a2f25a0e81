"""The keyring: keys that encrypt the secrets of projects at rest. The first key encrypts (seals), every key decrypts (opens).

The same keys sign links: the first one signs, every key verifies. What signs is derived from a key, so that a signature tells
nothing of what seals.

The cipher is AES-256-GCM. A sealed text is bound to a context (the project and name of the secret), so that it does not
open in the place of another one. A key has an id, which is not secret and is stored beside the text that the key sealed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from scheduler.errors import SetupError

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_KEY_TEXT: Final = re.compile(r"[A-Za-z0-9_-]{43}=?")
_BETWEEN: Final = re.compile(r"[\s,]+")


class KeyMissingError(Exception):
    """No key of the ring opens this text; `key_id` names the key that is needed."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"the key {key_id} is missing")
        self.key_id = key_id


@dataclass(frozen=True, slots=True)
class SecretsKey:
    """One key. Its text is never shown."""

    id: str
    cipher: AESGCM = field(repr=False)
    signer: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Keyring:
    """Keys in order of precedence. An empty ring opens nothing and seals nothing."""

    keys: tuple[SecretsKey, ...] = ()

    @property
    def first(self) -> SecretsKey | None:
        """The key that seals."""
        return self.keys[0] if self.keys else None

    def seal(self, text: str, context: str) -> tuple[str, bytes] | None:
        """Return the id of the key that was used, and the sealed text to store; None if there is no key."""
        if self.first is None:
            return None
        nonce = os.urandom(_NONCE_BYTES)
        return self.first.id, nonce + self.first.cipher.encrypt(nonce, text.encode(), context.encode())

    def open(self, key_id: str, sealed: bytes, context: str) -> str:
        """Return the text that was sealed. Raises KeyMissingError, also for a text that was altered or has another context."""
        for key in self.keys:
            if key.id == key_id:
                try:
                    return key.cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context.encode()).decode()
                except (InvalidTag, ValueError):  # ValueError: the sealed text is too short
                    continue
        raise KeyMissingError(key_id)

    def sign(self, message: bytes) -> tuple[str, bytes] | None:
        """Return the id of the key that was used, and the signature (HMAC-SHA-256) of a message; None if there is no key."""
        return None if self.first is None else (self.first.id, hmac.digest(self.first.signer, message, "sha256"))

    def has_signed(self, key_id: str, message: bytes, signature: bytes) -> bool:
        """Tell whether the key of this id, one of the ring, has made this signature of the message."""
        found = next((key for key in self.keys if key.id == key_id), None)
        return found is not None and hmac.compare_digest(hmac.digest(found.signer, message, "sha256"), signature)


NO_KEYS: Final = Keyring()


def parse(text: str, source: str) -> Keyring:
    """Return the keys of a text, separated by white space or commas. Raises SetupError, which names `source` and no key."""
    words = [word for word in _BETWEEN.split(text) if word]
    if not words:
        raise SetupError(f"{source} holds no key for secrets; `ganger setup --secrets-key FILE` makes one")
    return Keyring(tuple(_key(word, number, source) for number, word in enumerate(words, start=1)))


def read(path: Path) -> Keyring:
    """Return the keys of a file. Raises SetupError."""
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as trouble:
        reason = trouble.strerror if isinstance(trouble, OSError) else "it is no text"
        raise SetupError(f"the key for secrets at {path} cannot be read: {reason}") from None
    return parse(text, str(path))


def ensure(path: Path) -> Keyring:
    """Return the keys of a file. A file that is missing or empty is written (0600) with a new key. Raises SetupError."""
    if not path.exists() or path.stat().st_size == 0:
        _make(path)
    return read(path)


def _key(word: str, number: int, source: str) -> SecretsKey:
    if _KEY_TEXT.fullmatch(word):
        try:
            raw = base64.b64decode(word.rstrip("=") + "=", altchars=b"-_", validate=True)
        except binascii.Error:
            raw = b""
        if len(raw) == KEY_BYTES:
            key_id = hashlib.sha256(b"ganger key id\0" + raw).hexdigest()[:8]
            return SecretsKey(key_id, AESGCM(raw), hmac.digest(raw, b"ganger links", "sha256"))
    raise SetupError(
        f"key {number} for secrets in {source} is not {KEY_BYTES} bytes in URL-safe base64 (43 characters)"
    )


def _make(path: Path) -> None:
    """Write a new key as a whole or not at all; when two processes do so at once, the key of the first one stays."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if path.exists() and path.stat().st_size == 0:
            path.unlink()
        try:
            path.hardlink_to(beside)
        except FileExistsError:
            pass
        finally:
            beside.unlink()
    except OSError as trouble:
        raise SetupError(f"the key for secrets cannot be written to {path}: {trouble.strerror}") from trouble
