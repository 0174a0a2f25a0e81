"""A node whose agents are forked by a process that has imported everything: a hundred lives cost what they do, not Python's start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.node_process import ROOT, NodeProcess
from workers.agent import main
from workers.runners import images
from workers.settings import NodeSettings


class WarmNode(NodeProcess):
    """As `NodeProcess`; each life is a process of its own, with nothing of the one before."""

    _nursery: subprocess.Popen[str] | None = None
    _agent: int | None = None

    def start(self, code: Path = ROOT) -> WarmNode:
        assert self._agent is None
        self._agent = int(self._ask())
        return self

    def kill(self) -> None:
        assert self._agent is not None
        assert self._nursery is not None
        assert self._nursery.stdout is not None
        os.kill(self._agent, signal.SIGKILL)
        assert self._nursery.stdout.readline() == f"{-signal.SIGKILL}\n"
        self._agent = None

    def close(self) -> None:
        if self._agent is not None:
            self.kill()
        if self._nursery is not None:
            self._nursery.communicate()
        super().close()

    def _ask(self) -> str:
        if self._nursery is None:
            words = [sys.executable, "-m", "tests.support.warm_node", json.dumps(self.settings)]
            with self.log.open("ab") as log:
                self._nursery = subprocess.Popen(
                    words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=ROOT, text=True
                )
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        self._nursery.stdin.write("\n")
        self._nursery.stdin.flush()
        return self._nursery.stdout.readline()


def nurse(settings: NodeSettings) -> None:
    """For each line on standard input: fork an agent, say its process id, await its death, say its exit code."""
    images.tool()  # podman takes longer to say that it is there than an agent to live
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(main.run(settings))
        print(child, flush=True)  # noqa: T201 - what our parent waits for
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - likewise


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    nurse(NodeSettings(**{**given, "node_dir": Path(given["node_dir"])}))
