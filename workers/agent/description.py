"""A node's description of itself: who it is and what it offers when it registers, and with each heartbeat what ails it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scheduler import wire
from workers.agent import isolation
from workers.agent.setup import NodeSetup
from workers.agent.supervisor_client.client import SupervisorClient
from workers.agent.write_ahead_journal import WriteAheadJournal
from workers.files.staging import StagingResources
from workers.machine import probe
from workers.settings import NodeSettings


@dataclass(frozen=True, slots=True)
class NodeDescription:
    """Reads the machine afresh at each call. `runners` are labels, `missing` says which runners do not work and why."""

    settings: NodeSettings
    node_setup: NodeSetup
    supervisor: SupervisorClient
    write_ahead: WriteAheadJournal
    resources: StagingResources
    runners: Mapping[str, str]
    missing: Mapping[str, str]
    boot_id: str = field(default_factory=probe.boot_id)

    @property
    def isolation(self) -> str:
        """How jobs are kept apart here, with the supervisor that there is now."""
        return isolation.level(self.node_setup, self.supervisor.powers)

    def registration(self, held: list[wire.HeldExecution]) -> wire.NodeRegistration:
        """Return what the node registers with, while it holds these executions."""
        settings, gpus = self.settings, self.node_setup.gpus
        return wire.NodeRegistration(
            name=settings.name,
            pool=settings.pool,
            hostname=probe.hostname(),
            boot_id=settings.boot_id or self.boot_id,
            disk_id=self.node_setup.disk_id,
            amounts=probe.amounts(settings, gpus, self.resources.spare_bytes),
            labels={**probe.labels(settings, self.runners, gpus), **isolation.labels(settings, self.isolation)},
            version=probe.version(),
            powers={**self.supervisor.powers, **self.missing},
            held=held,
            runs_ahead=True,
            place=probe.place(settings.node_dir),
        )

    def trouble(self) -> str | None:
        """Return why the node should get no work now, as a sentence for people; None if it is well."""
        if self.write_ahead.trouble is not None:
            return self.write_ahead.trouble
        if self.supervisor.stuck:
            return f"processes that cannot be killed: {', '.join(sorted(self.supervisor.stuck)[:5])}"
        return probe.trouble(self.settings, self.node_setup.paths.work)
