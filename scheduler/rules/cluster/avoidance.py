"""When a node is given no work because it fails to start jobs, and how long that lasts."""

from datetime import datetime, timedelta

AVOIDED_FROM = 3
"""Launches in a row that failed by the node's fault, or different programs that it could not start, until it is avoided.

More are not counted, so that the next chance comes at the same time whether three jobs were lost on it at once or a hundred.
"""

FORGIVE_AFTER_S = 60.0
"""A node that failed to launch is given one more chance this long after its last failure."""


def avoided_until(launch_failures: int, failed_at: datetime | None) -> datetime | None:
    """Return when a node that is avoided now gets its next chance; None for one that is not avoided."""
    if launch_failures < AVOIDED_FROM or failed_at is None:
        return None
    return failed_at + timedelta(seconds=FORGIVE_AFTER_S * (launch_failures - AVOIDED_FROM + 1))
