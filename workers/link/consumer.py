"""The consumer of a node: a Celery worker that passes each message of the node's queue to the agent, over a unix socket.

It is a process of its own, which the agent starts and watches. The agent hands it its settings on standard input; when
the agent ends, standard input closes, and this process ends with it. A thread sends canaries to the node's own queue.
By them the agent can tell a consumer that hears nothing from a queue that is empty.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import warnings
from collections.abc import Sequence

import orjson
from celery import Celery
from celery.exceptions import SecurityWarning

from workers.link import celery_app
from workers.machine import privacy

_LOST = 17
"""Exit code: the agent cannot be reached any more. It starts another consumer."""


class AgentSocket:
    """The consumer's end of the agent's socket. Thread-safe."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(path)
        self._lock = threading.Lock()

    def send(self, *words: object) -> None:
        """Send one line. If the agent has closed the socket, this process ends."""
        try:
            with self._lock:
                self._socket.sendall(orjson.dumps(words) + b"\n")
        except OSError:
            os._exit(_LOST)


def main() -> None:
    """Consume until the agent is gone."""
    privacy.protect()
    settings = orjson.loads(sys.stdin.buffer.readline())
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    # It writes three lines each time the broker cannot be reached; the agent says so, once, with the reason.
    logging.getLogger("celery.worker.consumer.consumer").setLevel(logging.CRITICAL)
    agent = AgentSocket(settings["socket"])
    threading.Thread(target=_end_with_agent, daemon=True).start()
    app = celery_app.make(settings["node"], settings["broker_url"], settings["broker_prefix"])

    def placements(epoch: int, keys: Sequence[Sequence[int]]) -> None:
        agent.send("placements", epoch, keys)

    def ring() -> None:
        agent.send("ring")

    def canary(number: int) -> None:
        agent.send("canary", number)

    celery_app.register_tasks(app, placements, ring, canary)
    beat = threading.Thread(
        target=_send_canaries, args=(app, settings["node"], settings["canary_s"], agent), daemon=True
    )
    beat.start()
    # The consumer runs nobody's code and accepts JSON only, so the danger that Celery warns root of does not exist here.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    worker = app.Worker(
        hostname=f"{settings['node']}@ganger",
        pool="threads",
        concurrency=2,
        loglevel="ERROR",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    worker.start()
    sys.exit(worker.exitcode or 0)


def _end_with_agent() -> None:
    """Standard input closes when the agent ends, even by kill -9."""
    while os.read(0, 1024):
        pass
    os._exit(0)


def _send_canaries(app: Celery, node: str, every_s: float, agent: AgentSocket) -> None:
    pause, number = threading.Event(), 0
    while True:
        number += 1
        try:
            celery_app.send_canary(app, node, number, 4 * every_s)
            agent.send("sent", number)
        except Exception as trouble:  # noqa: BLE001  every transport has errors of its own, and all mean the same
            agent.send("unreachable", f"{type(trouble).__name__}: {trouble}")
        pause.wait(every_s)


if __name__ == "__main__":
    main()
