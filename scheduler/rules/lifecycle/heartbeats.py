"""How often nodes send heartbeats: the more nodes, the seldomer each, as far as the lease allows."""

from __future__ import annotations

MOST_A_SECOND = 250.0
"""Heartbeats that an installation is asked to take a second: an eighth of a core, whatever the size of the fleet."""

MISSED = 3.0
"""Heartbeats that may be missed before a node is silent, and twice as many before its lease is over."""


def interval_s(nodes: int, *, beat_s: float, lease_s: float) -> float:
    """Return the seconds between two heartbeats of each of so many nodes: never sooner than the setting says.

    A node kills what it runs at two thirds of its lease. Six heartbeats fit into the lease, and so four before that.
    """
    return max(beat_s, min(nodes / MOST_A_SECOND, lease_s / (2 * MISSED)))


def silent_after_s(nodes: int, *, beat_s: float, suspect_s: float, lease_s: float) -> float:
    """Return after how many seconds without a heartbeat a node gets no new work."""
    return max(suspect_s, MISSED * interval_s(nodes, beat_s=beat_s, lease_s=lease_s))
