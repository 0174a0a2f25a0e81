"""Measures one peer, in an environment of the peers' own: `_peer_run.py PEER N LONE`; prints one JSON line.

The worker is a child of this process, so that its processor time and that of its jobs can be told from others'.
"""

# mypy: ignore-errors

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
TICK = os.sysconf("SC_CLK_TCK")


def cpu_s() -> float:
    """Seconds of processor of this process and of all that descend from it, ended ones included."""
    children: dict[int, list[int]] = {}
    own: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
            own[int(entry.name)] = sum(map(int, fields[11:15])) / TICK
    total, waiting = 0.0, [os.getpid()]
    while waiting:
        pid = waiting.pop()
        total += own.get(pid, 0.0)
        waiting += children.get(pid, [])
    return total


def start(*command: str) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=HERE)


def tasks(name: str):
    """Worker, how many jobs are submitted, how their end is awaited, and one job from its submission to its end."""
    import _peer_tasks as peer  # noqa: PLC0415 - it reads which peer is meant

    if name == "huey":
        worker = start(str(BIN / "huey_consumer"), "_peer_tasks.huey", "-w", "2", "-k", "process", "-q")
        one = lambda: peer.task().get(blocking=True, timeout=60, backoff=1, max_delay=0.001)  # noqa: E731
        many = lambda n: [peer.task() for _ in range(n)]  # noqa: E731
        wait = lambda sent: [each.get(blocking=True, timeout=120, max_delay=0.02) for each in sent]  # noqa: E731
    elif name == "celery":
        worker = start(str(BIN / "celery"), "-A", "_peer_tasks:app", "worker", "-c", "2", "--loglevel=ERROR")
        one = lambda: peer.task.delay().get(timeout=60, interval=0.001)  # noqa: E731
        many = lambda n: [peer.task.delay() for _ in range(n)]  # noqa: E731
        wait = lambda sent: [each.get(timeout=120, interval=0.02) for each in sent]  # noqa: E731
    else:
        worker = start(str(BIN / "dramatiq"), "_peer_tasks", "-p", "2", "-t", "1", "-Q", "peer")
        one = lambda: peer.task.send().get_result(block=True, timeout=60_000)  # noqa: E731
        many = lambda n: [peer.task.send() for _ in range(n)]  # noqa: E731
        wait = lambda sent: [each.get_result(block=True, timeout=120_000) for each in sent]  # noqa: E731
    return worker, one, many, wait


def hyperqueue(folder: str):
    import hyperqueue.client as hq  # noqa: PLC0415 - only where it is installed
    from hyperqueue import Job  # noqa: PLC0415 - likewise

    ready = Path(folder, "ready")
    worker = start(sys.executable, __file__, "serve", folder)
    while not ready.exists():
        time.sleep(0.02)
    os.chdir(folder)
    client = hq.Client(folder)
    hq.create_progress_callback = lambda: lambda *_: None
    fifo = str(Path(folder, "fifo"))
    os.mkfifo(fifo)

    def job(count: int, out: str | None = None) -> Job:
        made = Job(max_fails=None)
        for _ in range(count):
            made.program(["/bin/true"], stdout=out, stderr=None)
        return made

    def one() -> None:  # its own wait asks once a second, so the end is seen at the end of its output
        handle = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        client.submit(job(1, fifo))
        seen = select.poll()
        seen.register(handle, select.POLLIN | select.POLLHUP)
        seen.poll(10_000)
        os.close(handle)

    return worker, one, lambda n: [client.submit(job(n))], client.wait_for_jobs


def serve(folder: str) -> None:
    from hyperqueue.cluster import LocalCluster, WorkerConfig  # noqa: PLC0415 - likewise

    with LocalCluster(folder, WorkerConfig(cores=2)):
        Path(folder, "ready").touch()
        while True:
            time.sleep(60)


def spawn():
    def many(count: int) -> list[subprocess.Popen]:
        half = "import subprocess\nfor _ in range({}): subprocess.call(['/bin/true'])"
        return [subprocess.Popen([sys.executable, "-c", half.format(count // 2)]) for _ in range(2)]

    idle = subprocess.Popen(["sleep", "1000"])
    return idle, lambda: subprocess.call(["/bin/true"]), many, lambda sent: [one.wait() for one in sent]


def main() -> None:
    name, count, lone = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    os.environ["PEER"] = name
    with tempfile.TemporaryDirectory() as folder:
        worker, one, many, wait = (
            spawn() if name == "spawn" else hyperqueue(folder) if name == "hyperqueue" else tasks(name)
        )
        try:
            for _ in range(5):
                one()
            before, began = cpu_s(), time.perf_counter()
            wait(many(count))
            took, spent = time.perf_counter() - began, cpu_s() - before
            seconds = []
            for _ in range(lone):
                began = time.perf_counter()
                one()
                seconds.append(time.perf_counter() - began)
        finally:
            worker.terminate()
            worker.wait(20)
    seconds.sort()
    told = {"jobs_s": count / took, "cpu_ms": spent / count * 1000, "p50_ms": seconds[len(seconds) // 2] * 1000}
    print(json.dumps({**told, "p99_ms": seconds[int(len(seconds) * 0.99)] * 1000}))  # noqa: T201 - its only word


if __name__ == "__main__":
    serve(sys.argv[2]) if sys.argv[1] == "serve" else main()
