"""The state folder: where everything an embedded installation keeps lies on disk.

    lock                 held (flock) by the one `ganger up` that uses the folder; its text is that process's id
    secrets/             0700, generated passwords, and `secrets-key`, which secrets of projects are encrypted with
    tokens/              0700, API tokens; `admin` is the one that commands on this machine use
    url                  the API's address, while `ganger up` runs
    logs/                0700, one file per process
    pids/                what the last `ganger up` started: id and start time
    nodes/               0711, a folder per node of this machine
    servers/             the servers' own: their programs (as root), their data, their sockets

Nobody else may read it. As root the folder itself can be traversed (0711), because the servers run as another user
than its owner; a folder that existed before keeps the permissions it has, and if they shut the servers out, `servers`
is a link to a folder under /var/lib/ganger-servers.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from api.up.embedded import account as accounts
from api.up.embedded.account import UnixAccount
from scheduler.errors import SetupError

ROOT_DEFAULT = Path("/var/lib/ganger")
LOCK = "lock"
ADDRESS = "url"
# The key for secrets of projects, where no setting names another.
SECRETS_KEY = Path("secrets", "secrets-key")
# The folder for servers whose account cannot enter the state folder.
ELSEWHERE = Path("/var/lib/ganger-servers")
# sun_path holds 108 bytes with the closing zero; PostgreSQL adds its file name to the folder.
SOCKET_PATH_MAX = 107
LONGEST_SOCKET_NAME = ".s.PGSQL.5432"
MIB = 1024 * 1024
# A fresh folder takes about 190 MiB: programs 40, an empty cluster 40, write-ahead log up to 100.
FRESH_FREE_BYTES = 256 * MIB
KEPT_FREE_BYTES = 32 * MIB


@dataclass(frozen=True, slots=True)
class StateFolder:
    """An open state folder; its sub-folders exist and are writable."""

    root: Path
    account: UnixAccount | None

    @property
    def secrets(self) -> Path:
        """Generated passwords, one file each."""
        return self.root / "secrets"

    @property
    def tokens(self) -> Path:
        """API tokens, one file each."""
        return self.root / "tokens"

    @property
    def logs(self) -> Path:
        """One log file per process."""
        return self.root / "logs"

    @property
    def pids(self) -> Path:
        """One file per started process."""
        return self.root / "pids"

    @property
    def nodes(self) -> Path:
        """One folder per node of this machine."""
        return self.root / "nodes"

    @property
    def servers(self) -> Path:
        """The folder that the servers' account can reach. Links are resolved, because servers must not follow one of ours."""
        return (self.root / "servers").resolve()

    def secret(self, name: str) -> str:
        """Return the generated secret of that name; made at the first call, the same ever after."""
        path = self.secrets / name
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            write_private(path, secrets.token_urlsafe(32))
            return path.read_text().strip()

    def socket_folder(self) -> Path:
        """Return a 0700 folder of the servers' account whose socket paths are short enough for the kernel."""
        home = self.servers / "run"
        if _holds_sockets(home):
            return _private_folder(home, self.account)
        tag = hashlib.sha256(os.fsencode(self.servers)).hexdigest()[:12]
        for base in _short_bases():
            folder = base / f"ganger-{os.geteuid()}-{tag}"
            if _holds_sockets(folder) and os.access(base, os.W_OK):
                return _private_folder(folder, self.account)
        raise SetupError(f"the path of {home} is too long for a unix socket; choose a shorter --state-dir")


def default_root() -> Path:
    """Return the folder used without --state-dir: /var/lib/ganger as root, else under the user's data folder."""
    if os.geteuid() == 0:
        return ROOT_DEFAULT
    data = os.environ.get("XDG_DATA_HOME", "")
    base = Path(data) if data.startswith("/") else Path.home() / ".local" / "share"
    return base / "ganger"


def prepare(path: Path | None = None) -> StateFolder:
    """Make or open the state folder; safe to repeat. Raises SetupError if it is read-only, full, or not ours."""
    root = _root_of(path)
    _require_proc()
    account = accounts.for_servers()
    try:
        _make_root(root, account)
        folder = StateFolder(root, account)
        for private in (folder.secrets, folder.tokens, folder.logs, folder.pids):
            private.mkdir(mode=0o700, exist_ok=True)
        folder.nodes.mkdir(mode=0o711, exist_ok=True)
        _require_room(root)
        _place_servers(folder)
    except OSError as error:
        raise SetupError(_sentence(root, error)) from error
    return StateFolder(root, _account_of_servers(folder))


def refuse_second(path: Path | None = None) -> None:
    """Raise SetupError if another `ganger up` runs on this state folder; makes and changes nothing, not even the folder."""
    root = _root_of(path)
    with suppress(OSError):  # there is no folder yet, or `prepare` says what is wrong with it
        handle = os.open(root / LOCK, os.O_RDWR | os.O_CLOEXEC)
        try:
            _lock(handle, root)
        finally:
            os.close(handle)


@contextmanager
def locked(folder: StateFolder) -> Iterator[None]:
    """Hold the folder against a second `ganger up`; the kernel lets go however this process ends. Raises SetupError."""
    handle = os.open(folder.root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(handle, folder.root)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, root: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(handle, 32, 0).decode().strip() or "unknown"
        message = (
            f"another `ganger up` (process {holder}) is running on {root}; "
            "stop it, or choose another folder with --state-dir"
        )
        raise SetupError(message) from None


def write_private(path: Path, text: str, account: UnixAccount | None = None) -> None:
    """Write a file that only its owner can read, whole or not at all; an existing one is replaced."""
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
            if account is not None:
                os.fchown(file.fileno(), account.uid, account.gid)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _root_of(path: Path | None) -> Path:
    return Path(os.path.abspath(path or default_root()))  # noqa: PTH100 - resolve() would follow the user's links


def _require_proc() -> None:
    """Say now what a chroot without /proc would show as a library that cannot be loaded."""
    if not Path("/proc/self/stat").exists():
        raise SetupError("/proc is not there, which servers and nodes need; in a chroot: mount -t proc proc /proc")


def _make_root(root: Path, account: UnixAccount | None) -> None:
    """Make the folder with what is missing above it; what exists already is left exactly as it is."""
    if root.is_dir():
        return
    root.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    root.mkdir(mode=0o700)
    if account is not None:
        root.chmod(0o711)


def _require_room(root: Path) -> None:
    """Find out now, by writing, what would otherwise break a server half-way through its start."""
    fresh = not (root / "servers").exists()
    needed = FRESH_FREE_BYTES if fresh else KEPT_FREE_BYTES
    free = shutil.disk_usage(root).free
    with tempfile.NamedTemporaryFile(dir=root, prefix=".room") as probe:
        probe.write(bytes(MIB))
        probe.flush()
        os.fsync(probe.fileno())
    if free < needed:
        message = (
            f"the file system of {root} is full: {free // MIB} MiB are free, {needed // MIB} MiB are needed; "
            "free some, or choose another folder with --state-dir"
        )
        raise SetupError(message)


def _place_servers(folder: StateFolder) -> None:
    link = folder.root / "servers"
    if link.is_symlink() and not link.exists():
        raise SetupError(f"{link} points to {link.readlink()}, which is gone: bring it back, or remove the link")
    if link.exists():
        return
    if folder.account is None:
        link.mkdir(mode=0o700)
    elif accounts.can_enter(folder.account, folder.root):
        link.mkdir()
        link.chmod(0o711)
    else:
        link.symlink_to(_home_elsewhere(folder))


def _home_elsewhere(folder: StateFolder) -> Path:
    ELSEWHERE.mkdir(mode=0o711, parents=True, exist_ok=True)
    home = ELSEWHERE / f"{folder.root.name or 'root'}-{secrets.token_hex(4)}"
    home.mkdir()
    home.chmod(0o711)
    if folder.account is None or not accounts.can_enter(folder.account, home):
        home.rmdir()
        name = folder.account.name if folder.account else "the servers"
        message = (
            f"the user {name}, which the servers run as, can enter neither {folder.root} nor {ELSEWHERE}; "
            "choose a --state-dir whose folders all can be traversed"
        )
        raise SetupError(message)
    return home


def _account_of_servers(folder: StateFolder) -> UnixAccount | None:
    """Data that exist keep their owner, whatever this machine's first choice has become since."""
    if folder.account is None:
        return None
    for name in ("postgres", "valkey"):
        data = folder.servers / name
        if data.is_dir():
            return accounts.owner_of(data) or folder.account
    return folder.account


def _private_folder(path: Path, account: UnixAccount | None) -> Path:
    """Make a 0700 folder of the servers' account, or accept the one that is just that."""
    owner = account.uid if account else os.geteuid()
    try:
        path.mkdir(mode=0o700)
        accounts.give(path, account)
    except FileExistsError:
        found = path.lstat()
        if found.st_uid != owner or found.st_mode & 0o077 or not path.is_dir() or path.is_symlink():
            raise SetupError(f"{path} must be a folder that only user id {owner} can enter; remove it") from None
    return path


def _holds_sockets(folder: Path) -> bool:
    return len(os.fsencode(folder / LONGEST_SOCKET_NAME)) <= SOCKET_PATH_MAX


def _short_bases() -> list[Path]:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    own = [Path(runtime)] if runtime.startswith("/") and os.geteuid() != 0 else []
    return [*own, *([Path("/run")] if os.geteuid() == 0 else []), Path("/tmp")]  # noqa: S108 - checked for its owner


def _sentence(root: Path, error: OSError) -> str:
    remedy = "choose another folder with --state-dir"
    match error.errno:
        case errno.EROFS:
            return f"the state folder {root} is on a read-only file system; {remedy}"
        case errno.ENOSPC | errno.EDQUOT:
            return f"the file system of {root} is full; free some room, or {remedy}"
        case errno.EACCES | errno.EPERM:
            return f"the state folder {root} is not writable by this user ({error.filename}); {remedy}"
        case errno.ENOTDIR | errno.EEXIST:
            return f"the state folder {root} cannot be made: {error.filename} is not a folder; {remedy}"
        case _:
            return f"the state folder {root} cannot be used: {error.strerror}; {remedy}"
