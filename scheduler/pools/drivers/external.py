"""The external driver: Ganger publishes the wanted size of the pool, and a scaler of the platform follows it.

The number is at GET /pools/{name}/wanted/ (for KEDA's metrics-api scaler, or anything that polls) and in the metrics as
ganger_pool_nodes_wanted. The platform chooses which nodes leave; they finish their work when it asks them to end.
"""

from __future__ import annotations

from collections.abc import Sequence

from scheduler.pools.drivers.driver import InstanceList, NodeTemplate
from scheduler.rules.cluster.resources import Resources


class ExternalDriver:
    """The nodes of a pool that Ganger does not start."""

    starts = False
    picks = False
    look_every_s = 60.0
    join_within_s = 0.0

    def start(self, count: int, template: NodeTemplate) -> list[str]:  # noqa: ARG002 - the signature of all drivers
        """Start nothing."""
        return []

    def retire(self, names: Sequence[str]) -> None:
        """Remove nothing."""

    def revive(self, names: Sequence[str], template: NodeTemplate) -> None:
        """Revive nothing."""

    def listing(self) -> InstanceList:
        """Return no instance."""
        return InstanceList()

    def template(self) -> Resources | None:
        """Return None: only the nodes know."""
        return None
