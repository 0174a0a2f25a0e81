"""A node as a process of its own, on a folder of its own, that can be killed and started again."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scheduler.identifiers import FileId
from scheduler.wire import InputFile, InputSpec
from tests.support.waiting import until_gone
from workers.agent.supervisor_client.client import SupervisorClient
from workers.agent.supervisor_client.launch import SupervisorLostError
from workers.settings import NodeSettings

ROOT = Path(__file__).resolve().parents[2]


class NodeProcess:
    """Start, kill and stop one node; `close` leaves nothing of it."""

    def __init__(self, folder: Path, api_url: str, **settings: Any) -> None:
        self.folder = folder / "node"
        self.settings = {"name": "n1", "api_url": api_url, "token": "secret", "node_dir": str(self.folder),
                         "shared_folders": [str(folder)], **settings}  # fmt: skip
        self.log = folder / "node.log"
        self.witness = folder / "witness"
        self.witness.touch()
        self.witness.chmod(0o666)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, code: Path = ROOT) -> NodeProcess:
        """Start the agent with the code of a release."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.node_process", json.dumps(self.settings)], stderr=log, cwd=code
            )
        return self

    def kill(self) -> None:
        """Kill -9 the agent alone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, signum: int = signal.SIGTERM, timeout: float = 20.0) -> int:
        assert self.process is not None
        self.process.send_signal(signum)
        return self.process.wait(timeout)

    def supervisor_pid(self) -> int:
        with SupervisorClient(self.folder) as client:
            return int(client.hello["pid"])

    def said(self) -> list[dict[str, Any]]:
        """Return the log lines so far."""
        lines = []
        for line in self.log.read_text().splitlines():
            with contextlib.suppress(ValueError):
                lines.append(json.loads(line))
        return lines

    def starts(self) -> list[str]:
        """Return what the jobs wrote into the witness file, one line a start."""
        return self.witness.read_text().split()

    def leftovers(self) -> list[str]:
        """Return what lies about of executions."""
        found = [*(self.folder / "x").iterdir(), *(self.folder / "logs").iterdir()]
        return [path.name for path in found if not path.name.startswith(".")]

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if (self.folder / "supervisor.sock").exists():
            with contextlib.suppress(SupervisorLostError, OSError):
                client = SupervisorClient(self.folder)
                pid = int(client.hello["pid"])
                client.shutdown(0.0)
                for _ in client.messages():
                    pass
                until_gone(pid)
        shutil.rmtree(self.folder, ignore_errors=True)


def witnessed(node: NodeProcess, script: str) -> list[str]:
    """Return a command that first notes its start, then does `script`."""
    return ["/bin/sh", "-c", f'echo "$GANGER_EXECUTION_ID.$GANGER_ATTEMPT" >> {node.witness}\n{script}']


def an_input(name: str, number: int, content: bytes, sha256: str | None, *, size: int | None = None) -> InputSpec:
    file = InputFile(
        file_id=FileId(number),
        file_name=f"{name}.txt",
        size=len(content) if size is None else size,
        sha256=sha256,
        url=f"/node/files/{number}/content/",
    )
    return InputSpec(name=name, type="file", files=[file])


if __name__ == "__main__":
    from workers.agent import main

    given = json.loads(sys.argv[1])
    sys.exit(main.run(NodeSettings(**{**given, "node_dir": Path(given["node_dir"])})))


def sleeps(seconds: int) -> bool:
    """Return whether a job that sleeps so long still runs, or the shell that began it."""
    asked = re.compile(rb"sleep[ \0]%d\b" % seconds)
    return any(asked.search(line) for line in command_lines())


def command_lines() -> Iterator[bytes]:
    """Yield the command line of every process of this machine."""
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with contextlib.suppress(OSError):
                yield (process / "cmdline").read_bytes()
