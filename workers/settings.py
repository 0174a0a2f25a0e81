"""The settings of one node. The composition root fills them in; nothing here reads the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

JOB_USER = "nobody"
"""The user that jobs run as by default. It is never the account of an embedded server."""


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """The settings of one node. Amounts are integers in thousandths (cpu, MiB), durations seconds. None means: find out."""

    name: str
    api_url: str
    token: str = field(repr=False)
    node_dir: Path
    """The node's own folder: journal, logs of running work, sockets. Made if missing."""
    pool: str = "default"
    broker_url: str | None = field(default=None, repr=False)
    """Without a broker the node learns of placements by the answers to its heartbeats alone."""
    broker_prefix: str = ""
    """`global_keyprefix` of the broker; must be the publisher's."""
    work_dir: Path | None = None
    """Where work directories are made. Default: in `node_dir`, or below /var/tmp where the job user cannot reach that."""
    tree: str | None = None
    """The implementation of process trees to use (`cgroup2`, `cgroup1`, `pidns`, `scan`); None is the best there is."""
    cpus: int | None = None
    mem: int | None = None
    disk: int | None = None
    custom: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    reserve_mem: int = 256_000
    """Kept back for system and agent when `mem` is probed."""
    cache_disk: int = 10_000_000
    """Most disk for inputs that are kept for the next execution (MiB, thousandths), but never more than a tenth of the free
    disk. 0 keeps nothing."""
    keep_disk: int = 20_000_000
    """Most disk for Python environments and images that are kept for the next execution (MiB, thousandths), but never more
    than a fifth of the free disk. The least recently used go; what is larger is refused."""
    min_free_disk: int = 64_000
    """With less free disk than this in `node_dir` the node is degraded and claims nothing (MiB, thousandths)."""
    job_user: str = JOB_USER
    """The user that jobs run as when the node runs as root. Otherwise they run as the node's own user."""
    slot_uids: tuple[int, int] | Literal["auto"] | None = "auto"
    """(first, count): where the node runs as root and no other `job_user` is named, each execution has a user id of its
    own from this range; its group has the same number. `auto` takes a range for this node that nobody uses. If there is
    no such range, and with None, all jobs run as `job_user`."""
    hidden: tuple[str, ...] = ()
    """Files and folders that jobs must not see where they have the node's own user id: those of the installation."""
    projects: tuple[str, ...] | None = None
    """The projects that this node serves, `*` for all. None: all, but where projects cannot be kept apart only `default`."""
    shared_folders: tuple[str, ...] = ()
    """Folders that jobs may write to beside their own, as far as the rights of their user go. All else is read only to them."""
    syscall_filter: Literal["strict", "namespaces", "off"] = "strict"
    """Which kernel calls jobs are denied: those that no job needs; with `namespaces` they may make containers of their own."""
    interpreters: tuple[str, ...] = ()
    """Paths of Pythons that jobs may choose, beside those in the system's own folders. Nobody else may be able to write them."""
    pip_variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables for pip, when it installs a job's requirements: an index, a proxy. Jobs of every project can read them."""
    on_stop: Literal["return", "leave-running"] = "return"
    """The effect of SIGTERM: stop all work and hand it back, or exit at once and leave it running for the next start."""
    stop_patience_s: float = 5.0
    """How long a stop may take beyond the longest grace. Then the node exits; work that was not handed back is on disk."""
    sample_s: float = 10.0
    """Time between two samples of what a running execution uses. 0 takes none."""
    stagers: int = 4
    """How many executions may stage inputs at the same time. As many may collect outputs."""
    canary_s: float = 15.0
    """Time between two canaries: messages that the consumer sends to itself, to show that it still hears."""
    boot_id: str | None = None
    """Used instead of the kernel's own, by tests that play a reboot."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
