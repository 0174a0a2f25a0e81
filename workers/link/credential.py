"""The node's own credential: made at random, on its disk before it is proposed, shown with every call once it was taken.

The join token only brings the node in. Each life of an agent begins by proposing another credential, and goes on with the one
that there is until the answer has come; so a lost answer costs nothing, and a copy of an old folder shows what is not valid any more.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from scheduler import broker_protocol
from scheduler.errors import SetupError

_PREFIX: Final = "gc_"
_RANDOM_BYTES: Final = 32
_FILE: Final = "credential"


def is_kept(node_dir: Path) -> bool:
    """Return whether a node that lived in this folder has a credential, and needs no join token."""
    return (node_dir / _FILE).exists()


class NodeCredential:
    """The credential of one node, kept in its folder, readable by the agent's user alone."""

    def __init__(self, folder: Path | None, node: str, join_token: str) -> None:
        """Read what an earlier life has kept; without a folder everything is done with the join token."""
        self._path, self._node, self._join_token = None if folder is None else folder / _FILE, node, join_token
        self._taken, self._proposed = self._read()
        self._is_due = True

    @property
    def shown(self) -> str:
        """What the node shows: its credential, and the join token before it has one."""
        return self._taken or self._join_token

    def proposal(self) -> str | None:
        """Return the credential to propose, which is on the disk now; None without a folder. Raises SetupError.

        It is a new one once in the life of an agent: later on other calls are under way that show the present one.
        """
        if self._path is None:
            return None
        if self._taken is not None and not self._is_due:
            return self._taken
        if self._proposed is None:
            self._proposed = _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
            self._write()
        return self._proposed

    def broker_password(self) -> str:
        """Return the password of the node's user at the broker, made from the credential that it shows."""
        return broker_protocol.password(hashlib.sha256(self.shown.encode()).digest())

    def take(self) -> None:
        """Show the proposed credential from now on: the API has taken it. Raises SetupError."""
        if self._proposed is not None:
            self._taken, self._proposed, self._is_due = self._proposed, None, False
            self._write()

    def tries(self) -> list[str]:
        """Return what to show at a registration, in order: the credential, and the join token in case it is not valid any more."""
        return [one for one in dict.fromkeys((self._taken, self._join_token)) if one] or [""]

    def show_join_token(self) -> None:
        """Show the join token again: the API is of a release that knows no credentials."""
        self._taken = None

    def _read(self) -> tuple[str | None, str | None]:
        if self._path is None:
            return None, None
        with suppress(OSError, ValueError, AttributeError):
            kept = json.loads(self._path.read_text("ascii"))
            if kept.get("node") == self._node:  # of another name it is another node's
                return kept.get("taken"), kept.get("proposed")
        return None, None

    def _write(self) -> None:
        if self._path is None:
            return
        fresh = self._path.with_name(f".{_FILE}.{secrets.token_hex(4)}")
        kept = {"node": self._node, "taken": self._taken, "proposed": self._proposed}
        try:
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump(kept, file)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError as error:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise SetupError(f"The node's credential cannot be written to {self._path}: {error.strerror}.") from error
