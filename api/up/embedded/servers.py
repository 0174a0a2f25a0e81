"""The servers of one installation together: embedded, external, or one of each."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from api.up.embedded import child_process, external, postgres, valkey
from api.up.embedded.child_process import Pause
from api.up.embedded.postgres import PostgresServer
from api.up.embedded.state import StateFolder
from api.up.embedded.valkey import ValkeyServer
from scheduler.servers import addresses

Server = PostgresServer | ValkeyServer


@dataclass(frozen=True, slots=True)
class ServerSet:
    """The addresses of database and broker, and the servers among them that we run ourselves."""

    folder: StateFolder
    database_url: str
    broker_url: str
    servers: tuple[Server, ...]

    @property
    def node_broker_url(self) -> str:
        """The broker's address for nodes: without a login where the broker is ours, because each node has one of its own."""
        embedded = any(isinstance(server, ValkeyServer) for server in self.servers)
        return addresses.without_login(self.broker_url) if embedded else self.broker_url

    def start(self, pause: Pause = time.sleep) -> None:
        """Start ours side by side and return when all answer; on SetupError none is left running."""
        try:
            for server in self.servers:
                server.launch(pause)
            for server in self.servers:
                server.wait(pause)
        except BaseException:
            self.stop(time.sleep)
            raise

    def stop(self, pause: Pause = time.sleep) -> None:
        """Stop ours, the database last; safe to repeat."""
        for server in reversed(self.servers):
            server.stop(pause)


def prepare(
    folder: StateFolder,
    *,
    database_url: str | None = None,
    broker_url: str | None = None,
    database_settings: Mapping[str, str] | None = None,
    pause: Pause = time.sleep,
) -> ServerSet:
    """Prepare what is embedded and check what is external; nothing runs yet. Raises SetupError.

    Servers that a killed predecessor left running on this folder are ended first; the caller holds the folder's lock.
    """
    servers: list[Server] = []
    if database_url:
        external.check_database(database_url)
    else:
        database = postgres.prepare(folder, settings=database_settings)
        _end_predecessor(database, pause)
        database_url = database.url
        servers.append(database)
    if broker_url:
        external.check_broker(broker_url)
    else:
        broker = valkey.prepare(folder)
        _end_predecessor(broker, pause)
        broker_url = broker.url
        servers.append(broker)
    return ServerSet(folder, database_url, broker_url, tuple(servers))


def _end_predecessor(server: Server, pause: Pause) -> None:
    spec = server.process.spec
    child_process.end_recorded(spec.record, spec.stop_signal, spec.stop_within_s, pause)
