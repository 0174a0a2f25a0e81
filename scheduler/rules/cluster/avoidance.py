"""When a node gets no work because it fails to start jobs, and for how long."""

from datetime import datetime, timedelta

AVOIDED_FROM = 3
"""A node is avoided from this count on.

It counts launches in a row that failed by the node's fault, or different programs that the node could not start. More
are not counted, so that the node's next chance comes at the same time whether it lost three jobs at once or a
hundred.
"""

FORGIVE_AFTER_S = 60.0
"""A node that failed to launch gets one more chance this long after its last failure."""


def avoided_until(launch_failures: int, failed_at: datetime | None) -> datetime | None:
    """Return when an avoided node gets its next chance; None for a node that is not avoided."""
    if launch_failures < AVOIDED_FROM or failed_at is None:
        return None
    return failed_at + timedelta(seconds=FORGIVE_AFTER_S * (launch_failures - AVOIDED_FROM + 1))
