"""The whole path on one machine: from idle, submit to process start and to COMPLETED; and jobs per second.

Through HTTP, the real embedded servers and real processes. The start is the time the job's own process sees, on the
same clock as the submitter. Throughput is bulk submit until the last job is COMPLETED, with many small jobs at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tests.bench.figures import figure, quantile, spread
from tests.support.installation import Installation
from tests.support.servers import state_folder

ONE_COMPLETED = {"status": "COMPLETED", "page_size": "1"}
SINGLE, WARM_UP, MANY = 100, 10, 5_000
NORMAL: dict[str, Any] = {
    "GANGER_BEAT_S": "2",
    "GANGER_LEASE_S": "90",
    "GANGER_UPKEEP_S": "1",
    "GANGER_API_WORKERS": "2",
}


def main() -> None:
    """Measure on a fresh installation."""
    with state_folder() as root:
        installation = Installation(root, reads_answers=False, cpus=64, **NORMAL).start()
        try:
            _latency(installation)
            _throughput(installation)
        finally:
            installation.stop()


def _latency(installation: Installation) -> None:
    started, completed = [], []
    for number in range(WARM_UP + SINGLE):
        began = time.time()
        job_id = installation.submit("/bin/date", "+%s.%N")
        while installation.job(job_id)["status"] != "COMPLETED":
            time.sleep(0.001)
        ended = time.time()
        if number >= WARM_UP:
            execution = installation.job(job_id)["job_exes"][0]["id"]
            text = _stdout(installation, execution)
            started.append(float(text) - began)
            completed.append(ended - began)
    spread("path", "idle.submit-to-start", started)
    spread("path", "idle.submit-to-completed-visible", completed)


def _stdout(installation: Installation, execution: int) -> str:
    return installation.until(
        lambda: (
            installation.api.get(f"/job-executions/{execution}/logs/stdout/", headers={"Accept": "text/plain"}).text
        ),
        "the output of a job",
    )


def _throughput(installation: Installation) -> None:
    body = {"command": ["/bin/true"], "cpus_required": 0.25, "mem_required": 1, "disk_out_required": 1}
    before = _cpu_seconds(installation)
    peak = threading.Event()
    began = time.perf_counter()
    answer = installation.api.post("/jobs/", json=[body] * MANY)
    assert answer.status_code == 201, answer.text
    submitted = time.perf_counter() - began
    last = max(answer.json()["job_ids"])
    done: Callable[[], int] = lambda: installation.api.get("/jobs/", params=ONE_COMPLETED).json()["count"]  # noqa: E731
    target = MANY + WARM_UP + SINGLE
    while done() < target:
        peak.wait(0.05)
    seconds = time.perf_counter() - began
    spent = _cpu_seconds(installation) - before
    figure("path", "throughput", MANY / seconds, "jobs/s", n=MANY, last_job=last)
    figure("path", "throughput.submit", MANY / submitted, "jobs/s", n=MANY)
    figure("path", "throughput.cpu", spent / MANY * 1000, "CPU ms/job", n=MANY)
    waits = installation.api.get("/jobs/", params={"order": "-id", "page_size": 1000}).json()["results"]
    figure("path", "throughput.tries", quantile([job["num_exes"] for job in waits], 1.0), "tries at most")


def _cpu_seconds(installation: Installation) -> float:
    """Return the CPU seconds of every process of the installation and of their dead children."""
    total = 0.0
    for process in psutil.process_iter():
        try:
            if f"GANGER_UP={installation.root}" in Path(f"/proc/{process.pid}/environ").read_text(errors="replace"):
                total += sum(process.cpu_times()[:4])
        except (OSError, psutil.Error):
            continue
    return total


if __name__ == "__main__":
    main()
