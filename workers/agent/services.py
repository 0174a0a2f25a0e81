"""The parts of an agent that do what its state machine decides, made and connected in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from workers.agent import isolation, setup
from workers.agent.description import NodeDescription
from workers.agent.file_work import FileWork
from workers.agent.setup import NodeSetup
from workers.agent.slots import PositionFile
from workers.agent.supervisor_client.client import SupervisorClient
from workers.agent.write_ahead_journal import WriteAheadJournal
from workers.api_client import ApiClient
from workers.events import Event, OutputShipped
from workers.files.staging import StagingResources
from workers.files.work_dirs import WorkDirs
from workers.link.credential import NodeCredential
from workers.link.exchange import NodeExchanger
from workers.link.heartbeat import Heartbeat, NodeInterface
from workers.link.inbox import PlacementInbox
from workers.machine import probe
from workers.output.progress import ProgressTracker
from workers.output.run_outputs import RunOutputs
from workers.output.shipper import OutputShipper
from workers.output.usage import UsageTracker
from workers.paths import ExecutionKey
from workers.removal import FileRemover
from workers.settings import NodeSettings


@dataclass(frozen=True, slots=True)
class NodeServices:
    """One of each. `threads` says which loops the agent has to run."""

    api: ApiClient
    supervisor: SupervisorClient
    heartbeat: Heartbeat
    placement_inbox: PlacementInbox
    exchange: NodeExchanger
    shipper: OutputShipper
    remover: FileRemover
    outputs: RunOutputs
    file_work: FileWork
    position: PositionFile

    def threads(self) -> dict[str, Callable[[], None]]:
        """Return the loops by the name of their thread; each runs until its part is stopped or closed."""
        return {
            "events": self.supervisor.run_events,
            "heartbeat": self.heartbeat.run,
            "exchange": self.exchange.run,
            "shipper": self.shipper.run,
            "remover": self.remover.run,
            "placements": self.placement_inbox.run_socket,
            "consumer": self.placement_inbox.run_consumer,
        }

    def stop_talking(self) -> None:
        """Stop all loops that speak to the API or the broker."""
        self.placement_inbox.close()
        for part in (self.exchange, self.heartbeat, self.shipper, self.remover):
            part.stop()


def build(
    settings: NodeSettings,
    node_setup: NodeSetup,
    write_ahead: WriteAheadJournal,
    count_held: Callable[[], int],
    claim_token: Callable[[ExecutionKey], str],
    post: Callable[[Event], None],
) -> NodeServices:
    """Make all parts, reach the supervisor, and start nothing else. Raises SetupError, SupervisorLostError.

    `count_held` returns how many executions the node holds, `claim_token` the token of one's claim; both and `post` are
    called from any thread.
    """
    paths = node_setup.paths
    try:
        remover = FileRemover([paths.work, paths.secret_home()])
        way = paths.covered_at() if node_setup.slots is not None else None
        work_dirs = WorkDirs(paths.work, remover, way)
        kept = setup.folders(settings, node_setup, remover)
        resources = StagingResources(settings.name, kept, remover, setup.cache(settings, node_setup))
    except OSError as error:
        raise setup.unwritable(settings, error) from error
    runners, missing = setup.runners(node_setup)
    usage = UsageTracker(claim_token, settings.sample_s)
    supervisor = SupervisorClient(settings.node_dir, post, usage.sample, tree=isolation.wanted_tree(settings))
    credential = NodeCredential(settings.node_dir, settings.name, settings.token)
    api, progress = ApiClient(settings.api_url, credential), ProgressTracker(claim_token)
    description = NodeDescription(settings, node_setup, supervisor, write_ahead, resources, runners, missing)
    node = NodeInterface(
        description.registration,
        description.trouble,
        count_held,
        lambda: _load(remover, resources),
        supervisor.lease,
        lambda answer: inbox.log_in(answer.broker_user, credential.broker_password()),
        post,
    )
    heartbeat = Heartbeat(api, node, progress, usage)
    inbox = PlacementInbox(settings, post, heartbeat.nudge)
    shipper = OutputShipper(
        api, paths, progress, lambda: heartbeat.identity[0], claim_token, lambda key: post(OutputShipped(key))
    )
    return NodeServices(
        api=api,
        supervisor=supervisor,
        heartbeat=heartbeat,
        placement_inbox=inbox,
        exchange=NodeExchanger(api, lambda: heartbeat.identity, post),
        shipper=shipper,
        remover=remover,
        outputs=RunOutputs(paths, shipper, progress, usage),
        position=node_setup.position,
        file_work=FileWork(api, paths, work_dirs, resources, post, settings.stagers),
    )


def _load(remover: FileRemover, resources: StagingResources) -> dict[str, float]:
    """Return how busy the machine is, what the node keeps for later executions, and the folders that could not be removed, if any."""
    kept = {"environments_and_images_mib": float(resources.kept.used >> 20)}
    if resources.cache is not None:
        kept["cached_inputs_mib"] = float(resources.cache.used >> 20)
    return probe.load() | kept | ({"leftovers": float(remover.kept)} if remover.kept else {})
