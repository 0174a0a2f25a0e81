"""An installation of single roles, as units, containers and hosts start them: command lines and environments, as processes.

with Roles(folder, database_url, broker_url) as roles:
    roles.start(words, environment)     # `ganger …` as a process
    roles.api                           # a client, once `serve` was called
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx2

T = TypeVar("T")
GANGER = [sys.executable, "-P", "-m", "ganger"]
FAST = {"GANGER_BEAT_S": "0.5", "GANGER_LEASE_S": "12", "GANGER_SUSPECT_S": "3", "GANGER_UPKEEP_S": "0.25",
        "GANGER_SCALING_S": "0.25", "GANGER_RETRY_FIRST_S": "0.2", "GANGER_API_WORKERS": "1"}  # fmt: skip
POLL_S = 0.05


class Roles:
    """Processes of one installation; all are ended with it."""

    def __init__(self, folder: Path, database_url: str, broker_url: str, *, host: str = "127.0.0.1") -> None:
        self.folder, self.host, self.port = folder, host, free_port(host)
        self.url = f"http://{host}:{self.port}"
        self.server = {"GANGER_DATABASE_URL": database_url, "GANGER_BROKER_URL": broker_url, "GANGER_API_URL": self.url,
                       "GANGER_HOST": host, "GANGER_PORT": str(self.port)}  # fmt: skip
        self.node = {"GANGER_BROKER_URL": broker_url, "GANGER_API_URL": self.url}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.api: httpx2.Client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for name in reversed(list(self.processes)):
            self.stop(name)
        if hasattr(self, "api"):
            self.api.close()

    def once(self, words: Sequence[str], environment: Mapping[str, str]) -> str:
        """Run a command to its end."""
        done = subprocess.run(
            [*GANGER, *words], env=self._all(environment), capture_output=True, text=True, check=False, cwd="/"
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(
        self, name: str, words: Sequence[str], environment: Mapping[str, str], *, umask: int = -1
    ) -> subprocess.Popen[bytes]:
        """Start a role that runs until it is stopped."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*GANGER, *words],
                env=self._all(environment),
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                umask=umask,
            )
        return self.processes[name]

    def stop(self, name: str, number: int = signal.SIGTERM) -> int:
        process = self.processes.pop(name)
        process.send_signal(number)
        return process.wait(60)

    def serve(self, token: str) -> None:
        """Wait for the API, and speak to it with this token."""
        self.api = httpx2.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            timeout=30,
            transport=httpx2.HTTPTransport(retries=3),
        )
        self.until(lambda: self.api.get("/health/ready").status_code == 200 or None, "the API to be ready")

    def nodes(self) -> list[dict[str, Any]]:
        return list(self.api.get("/nodes/", params={"state": ["READY"]}).json()["results"])

    def run_jobs(self, count: int, *argv: str, **facts: Any) -> list[dict[str, Any]]:
        """Submit jobs and return them when all have ended."""
        job = {"command": list(argv), "cpus_required": 0.2, "mem_required": 16, "disk_out_required": 1, **facts}
        answer = self.api.post("/jobs/", json=[job] * count)
        assert answer.status_code == 201, answer.text
        ids = answer.json()["job_ids"]

        def ended() -> list[dict[str, Any]] | None:
            found = [self.api.get(f"/jobs/{job_id}/").json() for job_id in ids]
            return found if all(job["status"] in {"COMPLETED", "FAILED", "CANCELED"} for job in found) else None

        return self.until(ended, f"{count} jobs to end")

    def until(self, look: Callable[[], T | None], what: str, within_s: float = 60) -> T:
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            for name, process in self.processes.items():
                assert process.poll() is None, f"{name} ended with {process.returncode}\n{self.told()}"
            try:
                found = look()
            except httpx2.TransportError:
                found = None
            if found:
                return found
            time.sleep(POLL_S)  # the roles are black boxes here: there is no signal to wait for
        raise AssertionError(f"waited {within_s} s in vain for {what}\n{self.told()}")

    def told(self) -> str:
        return "\n".join(
            f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in self.folder.rglob("*.log")
        )

    def _all(self, environment: Mapping[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GANGER_")}
        return {**kept, "PYTHONPATH": str(Path(__file__).parents[2]), **FAST, **environment}


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
