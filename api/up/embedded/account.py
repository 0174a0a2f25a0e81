"""The account that the embedded servers run as.

An ordinary user runs them as himself. Root must not: PostgreSQL refuses it, and a broker has no need of it. They then
run as an unprivileged account that every distribution has. It is not the account `nobody` where that can be avoided,
because jobs may run as `nobody` and must neither signal the servers nor read their files.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from scheduler.errors import SetupError

# First the administrator's own choice, then what Debian, Ubuntu, Fedora and Alpine all ship.
CANDIDATES = ("ganger", "daemon", "nobody")


@dataclass(frozen=True, slots=True)
class UnixAccount:
    """A user of this machine that the servers are started as."""

    name: str
    uid: int
    gid: int


def for_servers() -> UnixAccount | None:
    """Return the account root lends to its servers, or None where they run as the invoking user.

    Raises SetupError where PostgreSQL could not run: a user id without an entry in /etc/passwd, or no unprivileged account.
    """
    uid = os.geteuid()
    if uid != 0:
        _require_entry(uid)
        return None
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return UnixAccount(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise SetupError("PostgreSQL does not run as root; make an account for it: useradd --system ganger")


def owner_of(folder: Path) -> UnixAccount | None:
    """Return the account that owns `folder`, or None if that is the invoking user."""
    uid = folder.stat().st_uid
    if uid == os.geteuid():
        return None
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        message = f"{folder} belongs to the unknown user id {uid}; give it an account or choose another --state-dir"
        raise SetupError(message) from None
    return UnixAccount(entry.pw_name, entry.pw_uid, entry.pw_gid)


def can_enter(account: UnixAccount, folder: Path) -> bool:
    """Tell whether the account may traverse `folder` and all above it, asked of the kernel itself (ACLs included)."""
    asked = subprocess.run(
        ["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)],
        user=account.uid,
        group=account.gid,
        extra_groups=[],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return asked.returncode == 0


def give(path: Path, account: UnixAccount | None) -> None:
    """Make the account the owner of one path that we have made; nothing to do where we run as ourselves."""
    if account is not None:
        os.chown(path, account.uid, account.gid)


def _require_entry(uid: int) -> None:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        message = (
            f"the user id {uid} has no entry in /etc/passwd, which PostgreSQL needs; "
            "add one, or use an external server: GANGER_DATABASE_URL=postgresql://…"
        )
        raise SetupError(message) from None
