"""An API that root has started gives up root's rights before it answers anybody.

What only root can do is done before: keys are read, the database is prepared, the address is bound, the folders of files are
opened and handed over. From then on the process is an unprivileged account for good, and so is all that it starts.

Python and its modules may lie where that account cannot go (beneath /root, say). Their folders are opened before, and modules are
imported through the open folders from then on; what they hold can be read by everybody, only the way to them cannot be gone.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.machinery import SourceFileLoader
from pathlib import Path

from api.up.embedded import account as accounts
from api.up.embedded.account import UnixAccount
from scheduler.errors import SetupError
from scheduler.files import beneath
from scheduler.settings import Settings

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38


def account_for(settings: Settings) -> UnixAccount | None:
    """Return the account that GANGER_API_USER names, None where it names none or where we are not root. Raises SetupError."""
    if settings.api_user is None or os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(settings.api_user)
    except KeyError:
        raise SetupError(
            f"GANGER_API_USER: there is no user {settings.api_user!r}; make one: useradd --system NAME"
        ) from None
    if entry.pw_uid == 0:
        return None
    return UnixAccount(entry.pw_name, entry.pw_uid, entry.pw_gid)


def prepare_folders(folders: Iterable[Path], account: UnixAccount | None) -> None:
    """Make the installation's own folders of files; with an account they become its own, with all that lies in them."""
    for folder in folders:
        with suppress(OSError):  # whoever stores a file there is told
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        if account is not None and folder.is_dir():
            _hand_over(folder, account)


def hold(roots: Iterable[Path]) -> None:
    """Open the folders within which workspaces lie, so that they can be reached when root's rights are gone."""
    for root in roots:
        with suppress(OSError):  # not there yet: then it is opened when it is needed, by the rights that are left
            beneath.hold(root)


def home_of_figures(state: Path, account: UnixAccount | None) -> Path:
    """Return where the processes share their figures: in the state folder, or where the account can go instead."""
    if account is None or accounts.can_enter(account, state):
        return state / "metrics"
    return (state / "servers").resolve() / "metrics"


def give(folder: Path, account: UnixAccount | None) -> None:
    """Let the account own a folder that was just made."""
    accounts.give(folder, account)


def become(account: UnixAccount) -> None:
    """Be this account from now on, without any way back. Raises SetupError if root's rights would remain."""
    _carry_modules(account)
    parent = os.getppid()
    os.initgroups(account.name, account.gid)
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    die_with_parent(parent)  # the kernel forgets that wish with a change of user
    with suppress(PermissionError):
        os.setuid(0)
        raise SetupError(f"root's rights remain after becoming {account.name}")


def die_with_parent(parent: int) -> None:
    """Get SIGTERM when the parent ends; end now if it has ended already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != parent:
        raise SetupError("the process that started this one has ended")


def _carry_modules(account: UnixAccount) -> None:
    """Let modules be imported from folders that the account cannot go to: through open handles of these folders."""
    folders = {entry for entry in sys.path if Path(entry).is_dir()}
    packages = [module for module in list(sys.modules.values()) if isinstance(getattr(module, "__path__", None), list)]
    for module in packages:
        folders.update(place for place in module.__path__ if not _within(place, folders) and Path(place).is_dir())
    names = {
        folder: f"/proc/self/fd/{os.open(folder, os.O_PATH | os.O_DIRECTORY)}"
        for folder in sorted(folders)
        if not accounts.can_enter(account, Path(folder))
    }
    sys.path[:] = [names.get(entry, entry) for entry in sys.path]
    for module in packages:
        module.__path__ = [_renamed(place, names) for place in module.__path__]
    for module in list(sys.modules.values()):
        loader = getattr(module, "__loader__", None)
        if isinstance(loader, SourceFileLoader):  # data of packages is found by its path
            loader.path = _renamed(str(loader.path), names)
    sys.path_importer_cache.clear()


def _within(place: str, folders: Iterable[str]) -> bool:
    return any(place == folder or place.startswith(f"{folder}/") for folder in folders)


def _renamed(place: str, names: Mapping[str, str]) -> str:
    for folder, name in names.items():
        if _within(place, (folder,)):
            return name + place.removeprefix(folder)
    return place


def _hand_over(top: Path, account: UnixAccount) -> None:
    """Give a tree to the account, once: the top last, so that its owner tells whether it was done. No link is followed."""
    if top.stat().st_uid == account.uid:
        return
    for _, folders, files, handle in os.fwalk(top, follow_symlinks=False):
        for name in [*folders, *files]:
            os.chown(name, account.uid, account.gid, dir_fd=handle, follow_symlinks=False)
    os.chown(top, account.uid, account.gid)
