"""The probe: what this machine is, what it has, and what is wrong with it at the moment."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import secrets
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

import psutil

from scheduler.wire import Amounts
from workers.machine import gpus
from workers.machine.gpus import Gpu
from workers.settings import NodeSettings

_MIB: Final = 1 << 20
_CGROUP: Final = Path("/sys/fs/cgroup")
_LEAST_MEM: Final = 64_000
_SPARE_DESCRIPTORS: Final = 32
_MOST_TROUBLE: Final = 500
_LEAST_FILES: Final = 1000
_LEAST_PIDS: Final = 256
_LEAST_PIDS_OF_GROUP: Final = 32
_PROC: Final = Path("/proc")


def amounts(settings: NodeSettings, devices: Sequence[Gpu] = (), cache_bytes: int = 0) -> Amounts:
    """Return the node's amounts, in thousandths: those of the settings, else those of the machine (or its cgroup).

    `cache_bytes` of the disk are left to the cache of input files, which may still grow by that much.
    """
    kept_back = cache_bytes // _MIB * 1000
    disk = shutil.disk_usage(settings.node_dir).free // _MIB * 1000 - settings.min_free_disk - kept_back
    mem = max(_memory_bytes() // _MIB * 1000 - settings.reserve_mem, _LEAST_MEM)
    return Amounts(
        cpus=_cpus() if settings.cpus is None else settings.cpus,
        mem=mem if settings.mem is None else settings.mem,
        disk=max(disk, 0) if settings.disk is None else settings.disk,
        custom={**({"gpu": len(devices) * 1000} if devices else {}), **settings.custom},
    )


def labels(settings: NodeSettings, runners: Mapping[str, str], devices: Sequence[Gpu] = ()) -> dict[str, str]:
    """Return the labels by which jobs may choose the node; those of the settings win. `runners` are labels already."""
    found = {
        "os": platform.system().lower(),
        "arch": platform.machine(),
        "kernel": platform.release(),
        "python": ".".join(map(str, sys.version_info[:2])),
        **{f"runner.{name}": how for name, how in runners.items()},
        **gpus.labels(list(devices)),
    }
    return {**found, **settings.labels}


def boot_id() -> str:
    """Return the id of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def disk_id(node_dir: Path) -> str:
    """Return the id of the node's folder, made if there is none: a lost folder gets another one. Raises OSError."""
    path = node_dir / "disk-id"
    with contextlib.suppress(FileNotFoundError):
        known = path.read_text(encoding="ascii").strip()
        if known:
            return known
    fresh = secrets.token_hex(16)
    temporary = path.with_suffix(".new")
    temporary.touch(mode=0o600)
    temporary.write_text(fresh, encoding="ascii")
    temporary.rename(path)
    return fresh


def place(node_dir: Path) -> str:
    """Return where the node's folder lies: another for a copy of it, here or on another machine. Nothing secret. Raises OSError."""
    state = node_dir.stat()
    machine = ""
    with contextlib.suppress(OSError):
        machine = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    said = f"{machine}/{state.st_dev}/{state.st_ino}"
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def hostname() -> str:
    """Return the machine's name."""
    return socket.gethostname()[:255] or "unknown"


def version() -> str:
    """Return the release that this node runs."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version("ganger-server")
    return ""


def load() -> dict[str, float]:
    """Return how busy the machine is, for people."""
    one, five, _ = os.getloadavg()
    memory = psutil.virtual_memory()
    return {"load_1m": round(one, 2), "load_5m": round(five, 2), "mem_available_mib": round(memory.available / _MIB)}


def trouble(settings: NodeSettings, work: str) -> str | None:
    """Return why this machine should get no work now; None if nothing is wrong with it."""
    try:
        spare = [os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC) for _ in range(_SPARE_DESCRIPTORS)]
    except OSError as error:
        return f"the node cannot open files: {error.strerror}"[:_MOST_TROUBLE]
    for fd in spare:
        os.close(fd)
    found = _disk_trouble(str(settings.node_dir), settings.min_free_disk) or _disk_trouble(work, settings.min_free_disk)
    return (found or _process_trouble() or "")[:_MOST_TROUBLE] or None


def _disk_trouble(folder: str, least: int) -> str | None:
    try:
        disk = os.statvfs(folder)
    except OSError as error:
        return f"{folder} cannot be looked at: {error.strerror}"
    free = disk.f_bavail * disk.f_frsize // _MIB * 1000
    if free < least:
        return f"only {free // 1000} MiB are free in {folder}"
    if disk.f_files and disk.f_favail < _LEAST_FILES:
        return f"only {disk.f_favail} more files can be made in {folder}"
    return None


def _process_trouble() -> str | None:
    """Return the trouble if the machine, or the control group of the node, is about to run out of processes."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        running = int((_PROC / "loadavg").read_text(encoding="ascii").split()[3].partition("/")[2])
        most = min(
            int((_PROC / "sys/kernel" / name).read_text(encoding="ascii")) for name in ("pid_max", "threads-max")
        )
        if running > most - max(most // 50, _LEAST_PIDS):
            return f"{running} of {most} process ids of this machine are in use"
    for folder in _pids_groups():
        with contextlib.suppress(OSError, ValueError):  # without a limit the file says `max`
            most = int((folder / "pids.max").read_text(encoding="ascii"))
            running = int((folder / "pids.current").read_text(encoding="ascii"))
            if running > most - max(most // 50, _LEAST_PIDS_OF_GROUP):
                return f"{running} of {most} processes that the node may have are in use"
    return None


def _pids_groups() -> list[Path]:
    """Return the control groups, of either version, that may limit the number of processes of the node."""
    found = []
    with contextlib.suppress(OSError):
        for line in (_PROC / "self/cgroup").read_text(encoding="ascii").splitlines():
            number, controllers, path = line.split(":", 2)
            if number == "0" or "pids" in controllers.split(","):
                found.append(_CGROUP / ("" if number == "0" else controllers) / path.lstrip("/"))
    return found


def _cpus() -> int:
    cpus = len(os.sched_getaffinity(0)) * 1000
    with contextlib.suppress(OSError, ValueError):
        quota, period = (_CGROUP / "cpu.max").read_text(encoding="ascii").split()
        if quota != "max":
            cpus = min(cpus, int(quota) * 1000 // int(period))
    return cpus


def _memory_bytes() -> int:
    have = int(psutil.virtual_memory().total)
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            have = min(have, int((_CGROUP / name).read_text(encoding="ascii")))
    return have
