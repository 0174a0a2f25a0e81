"""Node setup: its folders and the user of its jobs are made ready, or refused with one clear sentence."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import stat
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from scheduler.errors import SetupError
from workers import log
from workers.agent.slots import PositionFile
from workers.files import secret_dirs, work_dirs
from workers.files.input_cache import InputCache
from workers.machine import gpus, probe, user_namespace
from workers.machine.gpus import Gpu
from workers.paths import ExecutionKey, Paths, key_of
from workers.removal import FileRemover
from workers.runners import images, oci
from workers.runners.folder_cache import FolderCache
from workers.settings import JOB_USER, NodeSettings
from workers.supervisor.limits import NO_ROOM

_ALONE = "agent.lock"
_EVERYBODY = 0o001
_OTHERS_MAY_WRITE = 0o002
_FIRST_UID = 0x70000000
_UIDS = 4096
"""User ids of one node. The node's folder decides which of the 65,536 ranges up to 2**31 it gets."""
_LAST_UID = 0x7FFFFFFF
_FEW_UIDS = 1 << 15
"""Where there are only a few ids (a user namespace), the lower half is left to accounts; the uppermost range holds `nobody`."""
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class NodeSetup:
    """`user` is (uid, gid) of jobs, None when they run as the node itself. The lock on the folder is held while `lock` is open."""

    paths: Paths
    user: tuple[int, int] | None
    disk_id: str
    lock: int
    position: PositionFile
    slots: tuple[int, int] | None = None
    gpus: tuple[Gpu, ...] = ()


def prepare(settings: NodeSettings) -> NodeSetup:
    """Make the node's folders if missing and lock them. Raises SetupError."""
    user = _user(settings)
    try:
        settings.node_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
        _close(settings.node_dir.resolve())
        lock = _lock(settings.node_dir)
        disk_id = probe.disk_id(settings.node_dir)
        logs = settings.node_dir.resolve() / "logs"
        logs.mkdir(mode=0o700, exist_ok=True)
        work = _work_folder(settings, disk_id, user)
        own = secret_dirs.home(disk_id, work)
    except OSError as error:
        what = "is full" if error.errno in NO_ROOM else f"cannot be used: {error.strerror}"
        raise SetupError(f"The node's folder {settings.node_dir} {what}.") from error
    paths = Paths(str(work), str(logs), str(own))
    slots, position = _slots(settings, user, disk_id, work), PositionFile(settings.node_dir)
    return NodeSetup(paths, user, disk_id, lock, position, slots, tuple(gpus.list_gpus()))


def cache(settings: NodeSettings, place: NodeSetup) -> InputCache | None:
    """Return the cache of inputs, None when the node keeps none. Raises OSError."""
    folder = Path(place.paths.work, ".cache")
    limit = min(settings.cache_disk * _MIB // 1000, shutil.disk_usage(place.paths.work).free // 10)
    if limit <= 0:
        shutil.rmtree(folder, ignore_errors=True)
        return None
    return InputCache(folder, limit)


def folders(settings: NodeSettings, place: NodeSetup, remover: FileRemover) -> FolderCache:
    """Return the environments and images that the node keeps. Raises OSError."""
    return FolderCache(place.paths.work, settings.keep_disk * _MIB // 1000, remover, images.forget)


def runners(place: NodeSetup) -> tuple[dict[str, str], dict[str, str]]:
    """Return the runners that work here, as labels name them, and why others do not. Starts a container to find out."""
    found = {"command": "true", "python": "true"}
    trouble = oci.trouble(place.user, place.paths.work)
    if trouble is not None:
        return found, {"container": f"no containers run here: {trouble}"}
    found["container"] = oci.engine() or "true"
    fetching = images.tool()
    return found | ({"container.fetch": Path(fetching).name} if fetching else {}), {}


def clear_out(paths: Paths, held: Collection[ExecutionKey], remover: FileRemover) -> None:
    """Have the files removed that earlier lives left of executions which are not held any more. Never fails."""
    for name in work_dirs.names(paths.work):
        key = key_of(name)
        if key is not None and key not in held:
            remover.discard(f"{paths.work}/{name}")
            log.logger().info(log.LEFTOVER_REMOVED, folder=name)
    for name in work_dirs.names(paths.secret_home()):
        key = key_of(name)
        if key is not None and key not in held:
            secret_dirs.remove(paths, key, remover)
    for name in work_dirs.names(paths.logs):
        key = key_of(".".join(name.split(".")[:2]))
        if key is not None and key not in held:
            with contextlib.suppress(OSError):
                Path(paths.logs, name).unlink(missing_ok=True)


def unwritable(settings: NodeSettings, error: OSError) -> SetupError:
    """Return the refusal of a node whose folder cannot be written."""
    return SetupError(f"The node's folder {settings.node_dir} cannot be written: {error.strerror}.")


def _close(folder: Path) -> None:
    """Let nobody else rename the node's folder or one above it: a volume of a container may come open to all."""
    for path in (folder, *folder.parents):
        found = path.stat()
        if found.st_uid == os.geteuid() and found.st_mode & _OTHERS_MAY_WRITE and not found.st_mode & stat.S_ISVTX:
            path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS_MAY_WRITE)


def _lock(node_dir: Path) -> int:
    lock = os.open(node_dir / _ALONE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise SetupError(f"Another agent is running on the folder {node_dir}.") from error
    return lock


def _user(settings: NodeSettings) -> tuple[int, int] | None:
    if os.geteuid() != 0:
        return None
    try:
        found = pwd.getpwnam(settings.job_user)
    except KeyError as error:
        raise SetupError(f"There is no user {settings.job_user!r} on this machine for jobs to run as.") from error
    return found.pw_uid, found.pw_gid


def _slots(settings: NodeSettings, user: tuple[int, int] | None, disk_id: str, work: Path) -> tuple[int, int] | None:
    if user is None or settings.job_user != JOB_USER or settings.slot_uids is None:
        return None
    if settings.slot_uids != "auto":
        return settings.slot_uids
    number = zlib.crc32(disk_id.encode())
    first = next((first for ids in user_namespace.mapped_ids() if (first := _first_of(ids, number)) is not None), None)
    return None if first is None or not _is_free(first, work) else (first, _UIDS)


def _first_of(ids: range, number: int) -> int | None:
    """Return the first user id of a node, by its number, among those that exist; None if they are too few."""
    if _FIRST_UID in ids and ids[-1] >= _LAST_UID:
        return _FIRST_UID + (number & 0xFFFF) * _UIDS
    ranges = (len(ids) - _FEW_UIDS) // _UIDS
    return ids[_FEW_UIDS] + number % ranges * _UIDS if ranges > 0 else None


def _is_free(first: int, work: Path) -> bool:
    """Return whether nobody has these user ids, and this machine (or container) lets them be used."""
    wanted = range(first, first + _UIDS)
    if any(entry.pw_uid in wanted or entry.pw_gid in wanted for entry in pwd.getpwall()):
        return False
    probe_file = work / ".uid"
    try:
        probe_file.touch()
        os.chown(probe_file, first + _UIDS - 1, first + _UIDS - 1)
    except OSError:
        return False
    finally:
        probe_file.unlink(missing_ok=True)
    return True


def _work_folder(settings: NodeSettings, disk_id: str, user: tuple[int, int] | None) -> Path:
    """Return the folder of work directories: the job's user can reach it, and only the node can write it."""
    wanted = (settings.work_dir or settings.node_dir / "x").resolve()
    if user is not None and settings.work_dir is None and not _is_reachable(wanted.parent):
        wanted = Path("/var/tmp") / f"ganger-{disk_id}"  # noqa: S108  the name cannot be guessed, the owner is checked
    wanted.mkdir(mode=0o711, parents=True, exist_ok=True)
    state = wanted.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid():
        raise SetupError(f"The work folder {wanted} belongs to somebody else.")
    if user is not None and not _is_reachable(wanted):
        raise SetupError(f"The user of jobs cannot reach the work folder {wanted}; choose another work_dir.")
    return wanted


def _is_reachable(folder: Path) -> bool:
    """Return whether every user may pass through the folder and all above it."""
    return all(path.stat().st_mode & _EVERYBODY for path in (folder, *folder.parents))
