"""A whole installation as a user starts it: `ganger up` as a process, spoken to over HTTP, its processes known by role.

installation    one per test module: started on a new state folder, stopped and checked for left-overs at the end
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import psutil
import pytest

from tests.support import documented
from tests.support.servers import state_folder

T = TypeVar("T")
FAST = {"GANGER_BEAT_S": "0.5", "GANGER_LEASE_S": "12", "GANGER_SUSPECT_S": "3", "GANGER_UPKEEP_S": "0.25",
        "GANGER_RETRY_FIRST_S": "0.2", "GANGER_GRACE_S": "2", "GANGER_API_WORKERS": "1"}  # fmt: skip
POLL_S = 0.02


class Installation:
    """`ganger up` and a client of its API."""

    def __init__(
        self, root: Path, *, cpus: int = 8, nodes: int = 1, reads_answers: bool = True, **environment: str
    ) -> None:
        """`environment` are settings; without `reads_answers`, answers are not held against the document, which takes its time."""
        self._reads_answers = reads_answers
        self.root, self._cpus, self._nodes, self._environment = root, cpus, nodes, environment
        self.process: subprocess.Popen[str] | None = None
        self.api: httpx2.Client

    def start(self) -> Installation:
        command = [sys.executable, "-m", "ganger", "up", "--state-dir", str(self.root), "--port", "0", "--json",
                   "--cpus", str(self._cpus), "--mem", "4096", "--disk", "4096", "--nodes", str(self._nodes)]  # fmt: skip
        shared = json.dumps([str(self.root)])  # where tests leave things for jobs, and look for theirs
        environment = {**os.environ, **FAST, "GANGER_SHARED_FOLDERS": shared, **self._environment}
        self.log = (self.root / "up.log").open("ab")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"`ganger up` did not come up:\n{self.told()}")
        self.ready = json.loads(line)
        token = Path(self.ready["token_file"]).read_text().strip()
        self.api = httpx2.Client(
            base_url=self.ready["url"],
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            timeout=30,
            transport=httpx2.HTTPTransport(retries=3),
            event_hooks={"response": [_read_by_the_document] if self._reads_answers else []},
        )
        return self

    def shared(self, name: str) -> Path:
        """Return a folder that tests and jobs both reach and may write to: jobs have a `/tmp` of their own."""
        folder = self.root / name
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
        return folder

    def told(self) -> str:
        logs = [self.root / "up.log", *sorted((self.root / "logs").glob("*.log"))]
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-2000:]}" for log in logs if log.exists())

    def stop(self) -> int:
        """Ctrl-C; return the exit status. Where we run in the background of a script, nobody heeds that: SIGTERM."""
        assert self.process is not None
        unheard = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        self.process.send_signal(signal.SIGTERM if unheard else signal.SIGINT)
        status = self.process.wait(60)
        self.api.close()
        self.log.close()
        return status

    def left(self) -> list[str]:
        """Return what still runs that this installation started."""
        mark = f"GANGER_UP={self.root}"
        return [" ".join(p.cmdline()) for p in psutil.process_iter() if mark in _environment(p)]

    def processes(self, role: str) -> list[psutil.Process]:
        """Return the processes of a role: api, scheduler, agent, consumer, supervisor, postgres or valkey."""
        return sorted((p for p in self._mine() if _role(p) == role), key=lambda p: p.create_time())

    def _mine(self) -> set[psutil.Process]:
        """Agent and consumer let nobody of their own user read their environment: they are known by their parents."""
        marked = [p for p in psutil.process_iter() if f"GANGER_UP={self.root}" in _environment(p)]
        known = [*marked, *([psutil.Process(self.process.pid)] if self.process and self.process.poll() is None else [])]
        return {*marked, *(child for one in known for child in _descendants(one))}

    def submit(self, *argv: str, **fields: Any) -> int:
        body = {"command": list(argv), "cpus_required": 0.1, "mem_required": 16, "disk_out_required": 1, **fields}
        answer = self.api.post("/jobs/", json=body)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    def job(self, job_id: int) -> dict[str, Any]:
        answer = self.api.get(f"/jobs/{job_id}/")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def wait(self, job_id: int, *statuses: str, within_s: float = 40) -> dict[str, Any]:
        """Return the job once it has one of these statuses (default: a final one)."""
        wanted = statuses or ("COMPLETED", "FAILED", "CANCELED")

        def reached() -> dict[str, Any] | None:
            job = self.job(job_id)
            return job if job["status"] in wanted else None

        return self.until(reached, f"job {job_id} to be {' or '.join(wanted)}", within_s)

    def until(self, look: Callable[[], T | None], what: str, within_s: float = 40) -> T:
        """Return what `look` returns once it returns something; fails with every log when time is up."""
        end, seen = time.monotonic() + within_s, ""
        while time.monotonic() < end:
            try:
                found = look()
            except (httpx2.TransportError, AssertionError) as why:
                found, seen = None, f" (seen last: {str(why)[:1000]})"
            if found:
                return found
            time.sleep(POLL_S)  # the installation is a black box here: there is no signal to wait for
        raise AssertionError(f"waited {within_s} s in vain for {what}{seen}\n{self.told()}")


def _read_by_the_document(response: httpx2.Response) -> None:
    kind = response.headers.get("Content-Type")
    if kind is not None and kind.startswith("application/json"):
        response.read()
        request = response.request
        documented.check(request.method, str(request.url), response.status_code, kind, response.content)


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.Error:
        return []


def _environment(process: psutil.Process) -> list[str]:
    try:
        return Path(f"/proc/{process.pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def _role(process: psutil.Process) -> str | None:
    try:
        words = process.cmdline()
    except psutil.Error:
        return None
    line = " ".join(words)
    for role, sign in (
        ("supervisor", "supervisor"), ("consumer", "workers.link.consumer"), ("agent", "ganger worker"),
        ("scheduler", "ganger scheduler"), ("api", "ganger api"), ("postgres", "/postgres "), ("valkey", "valkey-server"),
    ):  # fmt: skip
        if sign in line:
            return role
    return None


@pytest.fixture(scope="module")
def installation(request: pytest.FixtureRequest) -> Iterator[Installation]:
    """Settings beside the usual ones stand in `SETTINGS` of the test's module."""
    with state_folder() as root:
        made = Installation(root, **getattr(request.module, "SETTINGS", {})).start()
        yield made
        if made.process is not None and made.process.poll() is None:
            assert made.stop() == 0
        assert made.left() == []
