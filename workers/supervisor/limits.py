"""Numbers and words on which supervisor and agent must agree. Each of them stands here only."""

import errno
from typing import Final

VERSION: Final = 1
"""Version of the protocol on the supervisor's socket."""

PHASES: Final = ("pre", "job", "post", "cleanup")
"""The phases of an execution, in order. Each has at most one command."""

ENVIRONMENT: Final = "environment"
"""The run that makes a Python environment, before the pre command; its time and output are those of the pre phase."""

TEMPORARY: Final = ("/tmp", "/var/tmp")  # noqa: S108  what is covered, not where anything is put
"""In place of these a confined run sees a folder of its own."""

FENCE_SHARE: Final = 2 / 3
"""Part of the lease after which an execution ends itself without a heartbeat: the rest is for clock drift, load and killing."""

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""System errors that say that the disk, or what a user may have of it, is full."""
