"""W1, W2 and W4 beside peers: jobs of one /bin/true on two slots. Medians of rounds that take turns, and ratios to each peer.

W1: jobs a second and processor time a job, from the first submission to the last end, also for jobs of 10 and of 100 ms (beside
what two slots can do at all). W2: one job at a time, submission to end seen. W4: cancel of a running tree until it is dead. huey, HyperQueue, Celery,
dramatiq and bare spawn are installed into an environment of their own; one that does not install is left out. Peers that are
queues keep nothing durably, none of them contains its jobs: what they do is less, and they say how much there is to win.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import venv
from collections import defaultdict
from pathlib import Path
from typing import Any

from api.up.embedded import servers, state
from tests.bench.figures import figure, quantile
from tests.bench.path import NORMAL, _cpu_seconds
from tests.support.installation import Installation
from tests.support.servers import state_folder

PACKAGES = ("huey==3.5.4", "hyperqueue==0.27.0", "celery[redis]==5.7.0", "dramatiq[redis]==2.2.1")
NEED = {"huey": "huey", "hyperqueue": "hyperqueue", "celery": "celery", "dramatiq": "dramatiq"}
ROUNDS, JOBS, LONE, CANCELS = 5, 1_000, 50, 10
BODY: dict[str, Any] = {"command": ["/bin/true"], "cpus_required": 1, "mem_required": 16, "disk_out_required": 1}


def main(arguments: list[str] | None = None) -> None:
    """Measure all in turn."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--jobs", type=int, default=JOBS)
    asked = parser.parse_args(arguments or [])
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with state_folder() as root:
        python = _environment(root)
        peers = ["spawn", *(name for name, module in NEED.items() if _has(python, module))]
        running = servers.prepare(state.prepare(root / "peers"))
        running.start()
        (root / "ours").mkdir()
        installation = Installation(root / "ours", cpus=2, **NORMAL).start()
        try:
            _warm(installation)
            for _ in range(asked.rounds):
                for name in peers:
                    _note(found[name], _peer(python, name, asked.jobs, running.broker_url))
                _note(found["ganger"], _ganger(installation, asked.jobs))
            for name, values in _longer(installation, asked.rounds).items():
                found["ganger"][name] = values
            found["ganger"]["cancel_ms"] = [_cancel(installation) for _ in range(CANCELS)]
        finally:
            installation.stop()
            running.stop()
    _tell(found)


def _tell(found: dict[str, dict[str, list[float]]]) -> None:
    units = {"jobs_s": "jobs/s", "cpu_ms": "CPU ms/job", "p50_ms": "ms", "p99_ms": "ms", "cancel_ms": "ms"}
    for name, values in found.items():
        for what, each in values.items():
            figure("peers", f"{name}.{what}", quantile(each, 0.5), units.get(what, "share"), rounds=len(each))
    for name, values in found.items():
        if name != "ganger":
            for what in ("jobs_s", "p50_ms"):
                ratios = [ours / theirs for ours, theirs in zip(found["ganger"][what], values[what], strict=True)]
                figure("peers", f"ganger.{what}.ratio", quantile(ratios, 0.5), f"times {name}")


def _note(found: dict[str, list[float]], measured: dict[str, float]) -> None:
    for what, value in measured.items():
        found[what].append(value)


def _environment(root: Path) -> Path:
    """Return a Python that has what of the peers installs: one that is given in GANGER_PEERS, or a new one."""
    given = os.environ.get("GANGER_PEERS")
    if given:
        return Path(given) / "bin/python"
    folder = root / "environment"
    venv.create(folder, with_pip=True)
    for package in PACKAGES:
        subprocess.run([folder / "bin/pip", "install", "-q", package], check=False)
    return folder / "bin/python"


def _has(python: Path, module: str) -> bool:
    return subprocess.run([python, "-c", f"import {module}"], stderr=subprocess.DEVNULL, check=False).returncode == 0


def _peer(python: Path, name: str, jobs: int, broker: str) -> dict[str, float]:
    command = [str(python), str(Path(__file__).with_name("_peer_run.py")), name, str(jobs), str(LONE)]
    told = subprocess.run(
        command,
        env={**os.environ, "PEER_BROKER": broker, "PEER": name},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=300,
    )
    measured: dict[str, float] = json.loads(told.stdout.splitlines()[-1])
    return measured


def _warm(installation: Installation) -> None:
    """Let the installation learn how long these jobs run, as one does that has been up for a minute."""
    _throughput(installation, 100, BODY)


def _ganger(installation: Installation, jobs: int) -> dict[str, float]:
    before = _cpu_seconds(installation)
    rate = _throughput(installation, jobs, BODY)
    spent = _cpu_seconds(installation) - before
    seconds = []
    for _ in range(LONE):
        began = time.perf_counter()
        job_id = installation.api.post("/jobs/", json=BODY).json()["id"]
        status = "QUEUED"
        while status != "COMPLETED":
            answer = installation.api.get(f"/jobs/{job_id}/", params={"wait": 30, "known": status})
            status = answer.json()["status"]
        seconds.append(time.perf_counter() - began)
    return {
        "jobs_s": rate,
        "cpu_ms": spent / jobs * 1000,
        "p50_ms": quantile(seconds, 0.5) * 1000,
        "p99_ms": quantile(seconds, 0.99) * 1000,
    }


def _throughput(installation: Installation, jobs: int, body: dict[str, Any]) -> float:
    """Return jobs a second; their ends are told by the feed."""
    cursor = installation.api.get("/jobs/changes/").json()["cursor"]
    began = time.perf_counter()
    left = set(installation.api.post("/jobs/", json=[body] * jobs).json()["job_ids"])
    while left:
        query = {"after": cursor, "wait": 30, "status": "COMPLETED", "page_size": 1000}
        told = installation.api.get("/jobs/changes/", params=query).json()
        cursor = told["cursor"]
        left -= {job["id"] for job in told["results"]}
    return jobs / (time.perf_counter() - began)


def _longer(installation: Installation, rounds: int) -> dict[str, list[float]]:
    """Return for jobs of 10 and of 100 ms which share of what two slots can do at all is done."""
    found: dict[str, list[float]] = {}
    for ms, jobs in ((10, 400), (100, 100)):
        body = {**BODY, "command": ["sleep", str(ms / 1000)]}
        _throughput(installation, 40, body)
        rates = [_throughput(installation, jobs, body) for _ in range(rounds)]
        found[f"slots-used.{ms}ms"] = [rate * (ms / 1000) / 2 for rate in rates]
    return found


def _cancel(installation: Installation) -> float:
    """Return the milliseconds from the cancel of a running tree until nothing of it runs."""
    job_id = installation.api.post("/jobs/", json={**BODY, "command": ["sh", "-c", "sleep 60 & sleep 60"]}).json()["id"]
    installation.until(lambda: installation.job(job_id)["status"] == "RUNNING", "a running job")
    installation.until(lambda: installation.job(job_id)["job_exes"][0]["status"] == "RUNNING", "a claimed job")
    began = time.perf_counter()
    installation.api.patch(f"/jobs/{job_id}/", json={"status": "CANCELED"})
    while installation.job(job_id)["job_exes"][0]["status"] in {"QUEUED", "RUNNING"}:
        time.sleep(0.002)
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main(sys.argv[1:])
