"""Nodes that somebody else scales: Ganger publishes the wanted size, and a platform's own scaler follows it.

The number is at GET /pools/{name}/wanted/ (for KEDA's metrics-api scaler, or anything that polls) and in the metrics as
ganger_pool_nodes_wanted. The platform picks which nodes go; they finish their work when it asks them to end.
"""

from __future__ import annotations

from collections.abc import Sequence

from scheduler.pools.drivers import InstanceList, NodeTemplate
from scheduler.rules.cluster.resources import Resources


class ExternalDriver:
    """A pool whose nodes come and go by themselves."""

    starts = False
    picks = False
    look_every_s = 60.0
    join_within_s = 0.0

    def start(self, count: int, template: NodeTemplate) -> list[str]:  # noqa: ARG002 - the promise of all drivers
        """Start nothing."""
        return []

    def retire(self, names: Sequence[str]) -> None:
        """Clear nothing away."""

    def revive(self, names: Sequence[str], template: NodeTemplate) -> None:
        """Revive nothing."""

    def listing(self) -> InstanceList:
        """Know of no instance."""
        return InstanceList()

    def template(self) -> Resources | None:
        """Know nothing of the nodes."""
        return None
