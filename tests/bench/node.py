"""The node: what an execution costs, how many a second, memory with many, cancel to dead, noisy neighbour, staging.

Costs and throughput are of a real agent and supervisor with contained trees, against a small API in this process;
the rest goes through a whole installation. Compare the ratios of one run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from scheduler.identifiers import FileId
from scheduler.wire import InputFile, InputSpec
from tests.bench.figures import figure, quantile, spread
from tests.support.fake_node_api import FakeNodeApi
from tests.support.installation import Installation
from tests.support.keys import FIRST, a_key
from tests.support.node import a_spec
from tests.support.node_process import NodeProcess
from tests.support.servers import state_folder
from tests.support.waiting import readable
from workers import removal
from workers.api_client import ApiClient
from workers.files import staging
from workers.files.staging import StagingResources, StagingTask
from workers.files.work_dirs import WorkDirs
from workers.paths import Paths
from workers.removal import FileRemover
from workers.runners.folder_cache import FolderCache

EXECUTIONS, SPAWNS, RUNNING, CANCELS, STARTS = 3_000, 500, 500, 30, 64
AT_ONCE = 256
"""Executions placed on the node at any time, as many as have room there: the next follows the end of one."""
AHEAD = 64
"""Executions that a node of two cpus holds at any time: two of them run, and the others wait for these to end."""
EMPTY = {"cpus": 250, "mem": 16_000, "disk": 1_000}
"""A quarter of a cpu, so that the limit is there and never what an empty program waits for."""
STAGED_BYTES = int(os.environ.get("GANGER_BENCH_STAGED_MIB", "2048")) << 20
BETWEEN_STARTS_S = 0.3
NORMAL: dict[str, Any] = {"GANGER_BEAT_S": "2", "GANGER_LEASE_S": "90", "GANGER_UPKEEP_S": "1", "GANGER_API_WORKERS": "2",
          "GANGER_GRACE_S": "10"}  # fmt: skip
FLOOD = "import os, time\np = b'x' * 99 + b'\\n'\np *= 100_000\nwhile True:\n    os.write(1, p); time.sleep(0.09)"
STUBBORN = 'trap "" TERM; echo $$ > "$1"; while :; do sleep 1; done'


def main() -> None:
    """Measure everything, the cheap things first."""
    bare = _bare_spawn()
    with state_folder() as root:
        _executions(root, bare)
    with state_folder() as root:
        installation = Installation(root, reads_answers=False, cpus=64, **NORMAL).start()
        try:
            _memory(installation)
            _cancel(installation, root)
            _neighbour(installation)
        finally:
            installation.stop()
    with state_folder() as root:
        _staging(root)


def _bare_spawn() -> float:
    """Return the CPU seconds that this process spends on one program, started and waited for."""
    before = time.process_time()
    for _ in range(SPAWNS):
        os.waitpid(os.posix_spawn("/bin/true", ["/bin/true"], {}), 0)
    each = (time.process_time() - before) / SPAWNS
    figure("node", "bare.spawn-and-wait.cpu", each * 1000, "ms", n=SPAWNS)
    return each


def _executions(root: Path, bare: float) -> None:
    """Measure empty executions: as many at a time as a large node has room for, and on a node of two cpus that runs ahead."""
    for name, cpus, at_once in (("", 64_000, AT_ONCE), ("two-slots.", 2_000, AHEAD)):
        with tempfile.TemporaryDirectory(dir=root) as folder:
            _execution_cost(Path(folder), name, cpus, at_once, bare)


def _execution_cost(root: Path, name: str, cpus: int, at_once: int, bare: float) -> None:
    root.chmod(0o755)
    api = FakeNodeApi(beat_s=2)
    node = NodeProcess(root, api.url, cpus=cpus).start()
    amounts = {**EMPTY, "cpus": 1000} if name else EMPTY
    try:
        api.wait(lambda: api.beats)
        with _bell(node) as bell:
            _run(api, bell, range(1, 1_000), at_once, amounts)  # warm: slots, stock, caches
            assert node.process is not None
            parts = {"agent": psutil.Process(node.process.pid), "supervisor": psutil.Process(node.supervisor_pid())}
            before = {part: _cpu(process) for part, process in parts.items()}
            switches = sum(map(_switches, parts.values()))
            began = time.monotonic()
            _run(api, bell, range(1_000, 1_000 + EXECUTIONS), at_once, amounts)
            took = time.monotonic() - began
            cpu = {part: (_cpu(process) - before[part]) / EXECUTIONS for part, process in parts.items()}
            switches = sum(map(_switches, parts.values())) - switches
            programs = parts["supervisor"].cpu_times()
        for part, each in cpu.items():
            figure("node", f"{name}execution.{part}.cpu", each * 1000, "ms", n=EXECUTIONS)
        own = (programs.children_user + programs.children_system) / (1_000 + EXECUTIONS)
        figure("node", f"{name}execution.program.cpu", own * 1000, "ms", n=EXECUTIONS)
        figure("node", f"{name}execution.switches", switches / EXECUTIONS, "", n=EXECUTIONS)
        figure("node", f"{name}execution.cpu", (sum(cpu.values()) + own) * 1000, "ms", bar="< 1.2")
        figure("node", f"{name}execution.cpu-beyond-bare", (sum(cpu.values()) - bare) * 1000, "ms", bar="< 1")
        figure(
            "node", f"{name}executions", EXECUTIONS / took, "1/s", n=EXECUTIONS, bar="> 1000", load=os.getloadavg()[0]
        )
        node.stop()
    finally:
        node.close()
        api.close()


def _switches(process: psutil.Process) -> int:
    """Return how often the threads of a process have waited so far."""
    found = 0
    for status in Path(f"/proc/{process.pid}/task").glob("*/status"):
        with contextlib.suppress(OSError):
            found += int(status.read_text().partition("\nvoluntary_ctxt_switches:")[2].split()[0])
    return found


def _bell(node: NodeProcess) -> socket.socket:
    """Return a connection over which placements are told as the node's consumer tells them."""
    bell = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    bell.connect(str(node.folder / "bell.sock"))
    return bell


def _run(api: FakeNodeApi, bell: socket.socket, numbers: range, at_once: int, amounts: dict[str, int]) -> None:
    """Place empty jobs, so many at a time, until all of them are reported. What has no room waits on the node."""
    first, placed = len(api.reports), 0
    while placed < len(numbers):
        api.wait(lambda: placed - (len(api.reports) - first) < at_once, 120)  # noqa: B023  called right here
        room = at_once - (placed - (len(api.reports) - first))
        new = [a_key(number, 1) for number in numbers[placed : placed + room]]
        api.place(*[a_spec(key, amounts=amounts).model_copy(update={"ahead": at_once == AHEAD}) for key in new])
        bell.sendall(json.dumps(["placements", api.epoch, new]).encode() + b"\n")
        placed += len(new)
    api.wait(lambda: len(api.reports) - first == len(numbers), 120)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _memory(installation: Installation) -> None:
    idle = _resident(installation)
    body = {
        "command": ["/bin/sleep", "300"],
        "cpus_required": 0.1,
        "mem_required": 4,
        "disk_out_required": 1,
        "grace": 0,
    }
    ids = installation.api.post("/jobs/", json=[body] * RUNNING).json()["job_ids"]
    installation.until(lambda: _count(installation, "RUNNING") == RUNNING, f"{RUNNING} to run", 120)
    time.sleep(3)  # let what was only for the start be given back
    figure(
        "node", f"memory-with-{RUNNING}-running", _resident(installation) - idle, "MiB", bar="< 64", idle=round(idle, 1)
    )
    done = installation.api.post("/jobs/cancel/", json={"job_id": ids})
    assert done.status_code == 202, done.text
    installation.until(lambda: _count(installation, "CANCELED") == RUNNING, "all to be cancelled", 120)


def _count(installation: Installation, status: str) -> int:
    return int(installation.api.get("/jobs/", params={"status": status, "page_size": 1}).json()["count"])


def _resident(installation: Installation) -> float:
    """Return the MiB that agent, consumer and supervisor keep resident."""
    found = [process for role in ("agent", "consumer", "supervisor") for process in installation.processes(role)]
    return float(sum(process.memory_info().rss for process in found)) / (1 << 20)


def _cancel(installation: Installation, root: Path) -> None:
    folder = root / "bench"
    folder.mkdir()
    folder.chmod(0o777)
    for name, grace, count in (("grace-0", 0, CANCELS), ("grace-default", None, 5)):
        taken = [_cancelled(installation, folder / f"{name}-{number}", grace) for number in range(count)]
        spread("node", f"cancel-to-dead.{name}", taken, bar="p99 < 0.1 s" if grace == 0 else "p99 < 11 s")


def _cancelled(installation: Installation, witness: Path, grace: int | None) -> float:
    """Return the seconds from asking for the cancel to the death of a program that ignores SIGTERM."""
    job_id = installation.submit(
        "/bin/sh", "-c", STUBBORN, "sh", str(witness), **({} if grace is None else {"grace": grace})
    )
    installation.until(lambda: witness.exists() and witness.read_text().strip(), "the program to start")
    process = os.pidfd_open(int(witness.read_text()))
    try:
        began = time.monotonic()
        installation.api.patch(f"/jobs/{job_id}/", json={"status": "CANCELED"})
        readable([process], 60)
        return time.monotonic() - began
    finally:
        os.close(process)


def _neighbour(installation: Installation) -> None:
    """Compare the time to start beside a job that writes 100 MB/s with that on a quiet node, taken in turns.

    Starts are spread over the first seconds of the writer, in which its output is shipped up to the cap, and after.
    """
    quiet, noisy = [], []
    for _ in range(4):
        quiet += _starts(installation, STARTS // 4)
        job_id = installation.submit("/usr/bin/python3", "-c", FLOOD, grace=0, mem_required=64)
        installation.wait(job_id, "RUNNING")
        noisy += _starts(installation, STARTS // 4)
        installation.api.patch(f"/jobs/{job_id}/", json={"status": "CANCELED"})
        installation.wait(job_id, "CANCELED")
    spread("node", "start.quiet", quiet)
    spread("node", "start.beside-100-MB/s", noisy)
    figure("node", "start.slowed-by", 100 * (quantile(noisy, 0.5) / quantile(quiet, 0.5) - 1), "%", bar="< 10")


def _starts(installation: Installation, count: int) -> list[float]:
    taken = []
    for _ in range(count):
        taken.append(_start(installation))
        time.sleep(BETWEEN_STARTS_S)
    return taken


def _start(installation: Installation) -> float:
    """Return the seconds from submit to the moment in which the program itself looks at the clock."""
    began = time.time()
    job = installation.wait(installation.submit("/bin/date", "+%s.%N"), "COMPLETED")
    path = f"/job-executions/{job['job_exes'][0]['id']}/logs/stdout/"
    return float(installation.api.get(path).json()["text"]) - began


def _staging(root: Path) -> None:
    """Compare staging a file of the local workspace, its hash verified, with cp of the same file."""
    source, digest = root / "source", hashlib.sha256()
    piece = os.urandom(1 << 20) * 16
    with source.open("wb") as file:
        for _ in range(STAGED_BYTES // len(piece)):
            file.write(piece)
            digest.update(piece)
    work = root / "work"
    work.mkdir()
    order = StagingTask(
        ApiClient("http://127.0.0.1:1", "none"), Paths(str(work), "/l"), WorkDirs(str(work), FileRemover([])),
        StagingResources("n1", FolderCache(str(work), 0, FileRemover([])), FileRemover([])),
        None, None, threading.Event(),
    )  # fmt: skip
    size = source.stat().st_size
    given = InputFile(
        file_id=FileId(1), file_name="x", size=size, sha256=digest.hexdigest(), url="/x", local_path=str(source)
    )
    spec = a_spec(inputs=[InputSpec(name="in", type="file", files=[given])])
    copied, staged = [], []
    for _ in range(5):
        copied.append(_timed(lambda: subprocess.run(["cp", source, root / "copy"], check=True)))
        (root / "copy").unlink()
        staged.append(_timed(lambda: _stage(spec, order)))
        removal.remove(order.paths.attempt(FIRST))
    rates = [size / statistics.median(taken) / 1e6 for taken in (copied, staged)]
    figure("node", "cp", rates[0], "MB/s", bytes=size)
    figure("node", "staging", rates[1], "MB/s", bytes=size)
    figure("node", "staging-to-cp", rates[1] / rates[0], "ratio", bar="> 0.5")


def _stage(spec: Any, order: StagingTask) -> None:
    failure = staging.stage(spec, order)
    assert failure is None, failure


def _timed(work: Callable[[], object]) -> float:
    os.sync()  # what was written before is not to be waited for here
    began = time.monotonic()
    work()
    return time.monotonic() - began
