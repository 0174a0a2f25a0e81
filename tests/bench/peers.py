"""W1 and W2 beside peers: jobs of one /bin/true on two slots. Medians of rounds that take turns, and ratios to each peer.

W1: jobs a second and processor time a job, from the first submission to the last end; broker, database and client are counted. W2: one job
at a time, submission to end seen. Of Ganger alone: W1 for jobs of 10 and of 100 ms (beside what two slots can do at all), and W4, cancel
of a running tree until it is dead. huey, HyperQueue, Celery and dramatiq are installed into an environment of their own (or stand in the one
that GANGER_PEERS names); one that does not install, or fails, is left out from then on, and the output says why. Peers
that are queues keep nothing durably, none of them contains its jobs: what they do is less, and they say how much there is to win.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import venv
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from api.up.embedded import servers, state
from scheduler.servers import broker_client
from tests.bench.figures import figure, quantile
from tests.bench.path import NORMAL, _cpu_seconds
from tests.support.installation import Installation
from tests.support.servers import state_folder

PACKAGES = {
    "huey": ("huey==3.5.4", "redis>=5.2"),
    "hyperqueue": ("hyperqueue==0.27.0",),
    "celery": ("celery[redis]==5.7.0",),
    "dramatiq": ("dramatiq[redis]==2.2.1",),
}
PROGRAM = Path(__file__).with_name("peer_programs") / "_peer_run.py"
ROUNDS, JOBS, LONE, CANCELS = 5, 1_000, 50, 10
INSTALL_WITHIN_S, PEER_WITHIN_S = 300, 300
UNTIL_IT_ENDS: dict[str, Any] = {"wait": 30, "known": ["QUEUED", "RUNNING"]}
BODY: dict[str, Any] = {"command": ["/bin/true"], "cpus_required": 1, "mem_required": 16, "disk_out_required": 1}


class PeerFailed(Exception):
    """A peer cannot be had or does not work; the text is the last line of what it said."""


def main(*, rounds: int = ROUNDS, jobs: int = JOBS) -> None:
    """Measure all in turn."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with state_folder() as root:
        python, peers = _environment(root)
        running = servers.prepare(state.prepare(root / "peers"))
        running.start()
        (root / "ours").mkdir()
        installation = Installation(root / "ours", reads_answers=False, cpus=2, **NORMAL).start()
        try:
            _warm(installation)
            for _ in range(rounds):
                for name in list(peers):
                    try:
                        _note(found[name], _peer(python, name, jobs, _broker(running)))
                    except PeerFailed as why:
                        peers.remove(name)
                        _leave_out(name, why)
                _note(found["ganger"], _ganger(installation, jobs))
            for name, values in _longer(installation, rounds).items():
                found["ganger"][name] = values
            found["ganger"]["cancel_ms"] = [_cancel(installation) for _ in range(CANCELS)]
        finally:
            installation.stop()
            running.stop()
    _tell(found)


def _leave_out(name: str, why: Exception) -> None:
    sys.stdout.write(json.dumps({"part": "peers", "name": name, "left_out": str(why)}) + "\n")
    sys.stdout.flush()


def _tell(found: dict[str, dict[str, list[float]]]) -> None:
    units = {"jobs_s": "jobs/s", "cpu_ms": "CPU ms/job", "p50_ms": "ms", "p99_ms": "ms", "cancel_ms": "ms"}
    for name, values in found.items():
        for what, each in values.items():
            figure("peers", f"{name}.{what}", quantile(each, 0.5), units.get(what, "share"), rounds=len(each))
    for name, values in found.items():
        if name != "ganger":
            for what in ("jobs_s", "cpu_ms", "p50_ms") if values else ():
                # A peer that failed in a later round has fewer; those that it has stand in the same order.
                ratios = [ours / theirs for ours, theirs in zip(found["ganger"][what], values[what], strict=False)]
                figure("peers", f"ganger.{what}.ratio", quantile(ratios, 0.5), f"times {name}", rounds=len(ratios))


def _note(found: dict[str, list[float]], measured: dict[str, float]) -> None:
    for what, value in measured.items():
        found[what].append(value)


def _environment(root: Path) -> tuple[Path, list[str]]:
    """Return a Python that has what of the peers installs, and which these are: one that is given in GANGER_PEERS, or a new one."""
    given = os.environ.get("GANGER_PEERS")
    folder = Path(given) if given else root / "environment"
    if not given:
        venv.create(folder, with_pip=True)
    peers = ["spawn"]
    for name, packages in PACKAGES.items():
        try:
            if not given:
                _ran(
                    [str(folder / "bin/pip"), "install", "-q", "--disable-pip-version-check", *packages],
                    INSTALL_WITHIN_S,
                )
            _ran([str(folder / "bin/python"), "-c", f"import {name}"], INSTALL_WITHIN_S)
            peers.append(name)
        except PeerFailed as why:
            _leave_out(name, why)
    return folder / "bin/python", peers


def _ran(command: list[str], within_s: float, more: Mapping[str, str] | None = None) -> str:
    """Return what a program printed; whatever it started ends with it. Raises PeerFailed."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **(more or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        told, said = process.communicate(timeout=within_s)
    except subprocess.TimeoutExpired:
        raise PeerFailed(f"not over after {within_s:.0f} s") from None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        raise PeerFailed(lines[-1] if lines else f"exit status {process.returncode}")
    return told


def _broker(running: servers.ServerSet) -> dict[str, str]:
    """Return the empty broker for the next peer."""
    client = broker_client.connect(running.broker_url)
    client.flushall()
    pid = client.info("server")["process_id"]
    client.close()
    return {"PEER_BROKER": running.broker_url, "PEER_BROKER_PID": str(pid)}


def _peer(python: Path, name: str, jobs: int, broker: Mapping[str, str]) -> dict[str, float]:
    told = _ran([str(python), str(PROGRAM), name, str(jobs), str(LONE)], PEER_WITHIN_S, {**broker, "PEER": name})
    try:
        measured: dict[str, float] = json.loads(told.splitlines()[-1])
    except (IndexError, ValueError):
        raise PeerFailed("it printed no figures") from None
    return measured


def _warm(installation: Installation) -> None:
    """Let the installation learn how long these jobs run, as one does that has been up for a minute."""
    _throughput(installation, 100, BODY)


def _ganger(installation: Installation, jobs: int) -> dict[str, float]:
    before = _cpu_seconds(installation) + time.process_time()
    rate = _throughput(installation, jobs, BODY)
    spent = _cpu_seconds(installation) + time.process_time() - before
    seconds = []
    for _ in range(LONE):
        began = time.perf_counter()
        job_id = installation.api.post("/jobs/", json=BODY).json()["id"]
        while installation.api.get(f"/jobs/{job_id}/", params=UNTIL_IT_ENDS).json()["status"] != "COMPLETED":
            pass
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
    main()
