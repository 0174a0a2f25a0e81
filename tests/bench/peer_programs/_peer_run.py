"""Measures one peer, in an environment of the peers' own: `_peer_run.py PEER N LONE`; prints one JSON line.

The worker is a child of this process, so that its processor time and that of its jobs can be told from others'; the broker's is added
(PEER_BROKER_PID). What fails ends this process with one line: the error, and the last thing that the worker said.
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
END_WITHIN_S = 5.0
LOG = Path(os.devnull)


def cpu_s() -> float:
    """Seconds of processor of this process, of all that descend from it, ended ones included, and of the broker."""
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
    total, waiting = own.get(int(os.environ.get("PEER_BROKER_PID", "0")), 0.0), [os.getpid()]
    while waiting:
        pid = waiting.pop()
        total += own.get(pid, 0.0)
        waiting += children.get(pid, [])
    return total


def start(*command: str) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    with LOG.open("ab") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=HERE)


def end(worker: subprocess.Popen) -> None:
    """End a worker; HyperQueue's server takes the polite signal and stays."""
    worker.terminate()
    try:
        worker.wait(END_WITHIN_S)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "nothing")


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
    until = time.monotonic() + 30
    while not ready.exists():
        if worker.poll() is not None or time.monotonic() > until:
            end(worker)
            raise RuntimeError("the server did not come up")
        time.sleep(0.02)
    os.chdir(folder)
    client = hq.Client(folder)
    fifo = str(Path(folder, "fifo"))
    os.mkfifo(fifo)

    def many(
        count: int,
    ) -> int:  # its own wait asks once a second, so the end is seen at the end of the last one's output
        handle = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        made = Job(max_fails=None)
        for _ in range(count - 1):
            made.program(["/bin/true"], stdout=None, stderr=None)
        made.program(["/bin/true"], stdout=fifo, stderr=None, priority=-1)  # starts when all others have
        client.submit(made)
        return handle

    def wait(handle: int) -> None:
        seen = select.poll()
        seen.register(handle, select.POLLIN | select.POLLHUP)
        ended = seen.poll(120_000)
        os.close(handle)
        if not ended:
            raise RuntimeError("no end of the last job was seen in two minutes")

    return worker, lambda: wait(many(1)), many, wait


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


def measure(name: str, count: int, lone: int, folder: str) -> dict[str, float]:
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
            seconds.append((time.perf_counter() - began) * 1000)
    finally:
        end(worker)
    seconds.sort()
    last = seconds[int(len(seconds) * 0.99)]
    return {
        "jobs_s": count / took,
        "cpu_ms": spent / count * 1000,
        "p50_ms": seconds[len(seconds) // 2],
        "p99_ms": last,
    }


def main() -> None:
    global LOG  # noqa: PLW0603 - one a process
    name, count, lone = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    os.environ["PEER"] = name
    with tempfile.TemporaryDirectory() as folder:
        LOG = Path(folder, "worker.log")
        LOG.touch()
        try:
            told = measure(name, count, lone, folder)
        except Exception as error:  # noqa: BLE001 - whatever a peer raises, it is left out, and why is said
            said = last_line(LOG.read_text(errors="replace"))
            sys.exit(f"{type(error).__name__}: {last_line(str(error))}; its worker said last: {said}")
        finally:
            os.chdir(HERE)
    print(json.dumps(told))  # noqa: T201 - its only word


if __name__ == "__main__":
    serve(sys.argv[2]) if sys.argv[1] == "serve" else main()
