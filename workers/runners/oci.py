"""Containers without a daemon and without root: an OCI runtime started by the job's own user, inside the job's tree.

The runtime (runc, or crun) is one more process of the process tree. The processes that it starts stay in the cgroups of
the tree, so limits, accounting, killing and output work as for every other job. Inside, the program is root of a user
namespace that maps to the job's user and nobody else. The root file system is a folder on this node (`images`).
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from scheduler.documents import Document, JsonValue
from workers.paths import PATH

ENGINES: Final = ("runc", "crun")
INSIDE: Final = "/tmp/job"  # noqa: S108  of the container, which has a /tmp of its own
_TRIAL_S: Final = 20.0
_HOST_FOLDERS: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib64")
_CAPABILITIES: Final[list[JsonValue]] = [
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
]  # fmt: skip
"""Capabilities in the user namespace. Outside of it they are worth nothing."""


@functools.cache
def engine() -> str | None:
    """Return the container runtime that this machine has; None if it has none."""
    return next((name for name in ENGINES if shutil.which(name, path=PATH)), None)


def argv(secret_dir: str, phase: str, name: str) -> list[str]:
    """Return the arguments that start the container of a phase, which `write` has prepared in `secret_dir`."""
    return [engine() or ENGINES[0], "--root", f"{secret_dir}/state", "run", "--bundle", f"{secret_dir}/{phase}", name]


def environment(secret_dir: str) -> dict[str, str]:
    """Return the environment of the runtime itself; nothing of it reaches the program."""
    return {"PATH": PATH, "XDG_RUNTIME_DIR": f"{secret_dir}/state"}


def write(secret_dir: str, phase: str, document: Document) -> None:
    """Write the description of a phase's container to where the runtime reads it. Raises OSError."""
    folder = Path(secret_dir, phase)
    folder.mkdir(mode=0o755, exist_ok=True)
    (folder / "config.json").write_bytes(orjson.dumps(document))


def describe(
    rootfs: str,
    command: Sequence[str],
    env: Mapping[str, str],
    *,
    cwd: str,
    binds: Mapping[str, str],
    user: tuple[int, int],
    network: str = "host",
) -> Document:
    """Return the container as the OCI runtime specification has it. `binds` maps paths inside to folders on this node."""
    kinds = ["user", "pid", "mount", "ipc", "uts", *(["network"] if network == "none" else [])]
    return {
        "ociVersion": "1.0.2",
        "hostname": "job",
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": list(command),
            "env": [f"{name}={value}" for name, value in env.items()],
            "cwd": cwd,
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), _CAPABILITIES),
            "noNewPrivileges": True,
        },
        "root": {"path": rootfs, "readonly": True},
        "mounts": [*_system_mounts(), *(_bind(inside, source) for inside, source in binds.items())],
        "linux": {
            "namespaces": [{"type": kind} for kind in kinds],
            "uidMappings": [{"containerID": 0, "hostID": user[0], "size": 1}],
            "gidMappings": [{"containerID": 0, "hostID": user[1], "size": 1}],
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/scsi"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    }


def trouble(user: tuple[int, int] | None, folder: str) -> str | None:
    """Run a minimal container, as jobs would; return why that fails, None if it works."""
    if engine() is None:
        return f"there is neither {' nor '.join(ENGINES)}"
    uid, gid = user or (os.geteuid(), os.getegid())
    identity: dict[str, Any] = {} if user is None else {"user": uid, "group": gid, "extra_groups": []}
    trial_dir = tempfile.mkdtemp(prefix="trial-", dir=folder)
    try:
        _furnish_trial(trial_dir, uid, gid)
        ran = subprocess.run(
            argv(trial_dir, "job", "ganger-trial"),
            env=environment(trial_dir), cwd="/", capture_output=True, timeout=_TRIAL_S, check=False, **identity,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    finally:
        shutil.rmtree(trial_dir, ignore_errors=True)
    said = ran.stderr.decode(errors="replace").strip().splitlines()
    return None if ran.returncode == 0 else (said[-1] if said else f"it ended with {ran.returncode}")[:300]


def _furnish_trial(trial_dir: str, uid: int, gid: int) -> None:
    Path(trial_dir).chmod(0o755)
    for name in ("state", "rootfs"):
        Path(trial_dir, name).mkdir()
        os.chown(f"{trial_dir}/{name}", uid, gid)
    rootfs = Path(trial_dir, "rootfs")
    for name in ("proc", "dev", "sys", "tmp", *(path.strip("/") for path in _HOST_FOLDERS)):
        (rootfs / name).mkdir()
        os.chown(rootfs / name, uid, gid)
    binds = {path: path for path in _HOST_FOLDERS if Path(path).is_dir()}
    write(trial_dir, "job", describe(str(rootfs), ["/bin/true"], {}, cwd="/", binds=binds, user=(uid, gid)))


def _system_mounts() -> list[Document]:
    quiet: list[JsonValue] = ["nosuid", "noexec", "nodev"]
    return [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": [*quiet, "mode=1777"]},  # noqa: S108
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": quiet},
        {"destination": "/sys", "type": "none", "source": "/sys", "options": ["rbind", *quiet, "ro"]},
        {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"]},  # noqa: S108
    ]


def _bind(inside: str, source: str) -> Document:
    return {"destination": inside, "type": "bind", "source": source, "options": ["rbind", "rw", "nosuid", "nodev"]}
