"""What one node is told when it starts. Nothing here is read from the environment; the composition root fills it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

JOB_USER = "nobody"
"""Who jobs run as by default; never the account of an embedded server."""


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """One node. Amounts are integers in thousandths (cpu, MiB), durations seconds; None means: find out."""

    name: str
    api_url: str
    token: str = field(repr=False)
    node_dir: Path
    """Folder for what the node must not forget (journal, logs of running work, sockets); made if missing."""
    pool: str = "default"
    broker_url: str | None = field(default=None, repr=False)
    """Without a broker the node learns of placements by its beats alone."""
    broker_prefix: str = ""
    """`global_keyprefix` of the broker; must be the publisher's."""
    work_dir: Path | None = None
    """Where work directories are made. Default: in `node_dir`, or below /var/tmp where the job user cannot reach that."""
    tree: str | None = None
    """Which implementation of process trees to use (`cgroup2`, `cgroup1`, `pidns`, `scan`); None = the best there is."""
    cpus: int | None = None
    mem: int | None = None
    disk: int | None = None
    custom: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    reserve_mem: int = 256_000
    """Kept back for system and agent when `mem` is probed."""
    cache_disk: int = 10_000_000
    """Most disk for inputs that are kept for the next execution (MiB, thousandths); never more than a tenth of what is
    free. 0 keeps nothing."""
    min_free_disk: int = 64_000
    """With less free disk than this in `node_dir` the node is degraded and claims nothing."""
    job_user: str = JOB_USER
    """Who jobs run as when the node runs as root; otherwise they run as the node's own user."""
    slot_uids: tuple[int, int] | Literal["auto"] | None = "auto"
    """(first, count): where the node runs as root and no other `job_user` is named, each execution has a user id of its
    own from this range, its group being the same number. `auto` takes a range of this node's that nobody uses; where
    there is none, and with None, all jobs run as `job_user`."""
    on_stop: Literal["return", "leave-running"] = "return"
    """What SIGTERM does: stop all work and hand it back, or exit at once and leave it running for the next start."""
    stop_patience_s: float = 5.0
    """How long beyond the longest grace a stop may take before the node exits with work undelivered (it is on disk)."""
    stagers: int = 4
    """How many executions may copy inputs at the same time; and as many may collect outputs."""
    canary_s: float = 15.0
    boot_id: str | None = None
    """Instead of the kernel's, for tests of what a reboot does."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
