"""The supervisor outlives its agents, and what it held does not outlive it: crashes, reconnects, silence, strangers."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import workers
from tests.support import supervised
from tests.support.supervised import PYTHON, RawClient, Stage
from workers.agent.supervisor_client.launch import BOOT, SupervisorLostError, start_or_connect
from workers.supervisor.journal import RunJournal
from workers.supervisor.trees import processes

RESTING = "signal.signal(signal.SIGTERM, signal.SIG_IGN); ready(); rest()"
SMALL_RSS_KIB = 16 << 10


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A supervisor with the best kind of tree that there is."""
    with supervised.stage() as found:
        yield found


def test_a_new_subscriber_hears_all_that_is_not_released(stage: Stage) -> None:
    over, released, resting = stage.play(), stage.play(), stage.play()
    stage.do(released.command(["true"]))
    ended = stage.do(over.command(["false"]))
    stage.supervision.start([resting.run(RESTING)])
    resting.wait_ready()
    stage.supervision.release([released.tree])

    with RawClient(stage.ground / "node") as again:
        heard = []
        for event in again.messages():
            if event["ev"] == "caught_up":
                break
            heard.append(event)
    assert [event["ev"] for event in heard] == ["connected", "ended", "started"]
    assert heard[1] == ended
    assert heard[2]["tree"] == resting.tree


def test_a_hundred_reconnects_under_load_lose_and_repeat_nothing(stage: Stage) -> None:
    plays = [stage.play() for _ in range(100)]
    node = stage.ground / "node"
    ended: dict[str, dict[str, Any]] = {}
    started: dict[str, int] = {}
    for play in plays:
        with RawClient(node) as agent:
            agent.start([play.command(["sh", "-c", "echo once; exit 7"])])
            for event in agent.messages():
                if event["ev"] == "started":
                    assert started.setdefault(event["tree"], event["pid"]) == event["pid"]
                if event["ev"] == "ended":
                    assert ended.setdefault(event["tree"], event) == event
                if event["ev"] == "caught_up":
                    break
    for play in plays:
        assert stage.end(play)["exit_code"] == 7
        assert play.output() == "once\n"
    assert set(ended) <= {play.tree for play in plays}


def test_a_killed_supervisor_is_replaced_and_what_it_held_is_dead_and_reported(stage: Stage) -> None:
    plays = [stage.play() for _ in range(5)]
    stage.supervision.start([play.run("if os.fork() == 0: os.setsid()\n" + RESTING) for play in plays])
    for play in plays:
        play.wait_ready()
        stage.hear("started", play.tree)
    first = stage.pid()
    finished = stage.play()
    before = stage.do(finished.command(["sh", "-c", "exit 5"]))

    stage.kill_supervisor()
    stage.hear("connected")

    lost = [stage.hear("ended") for _ in range(6)]
    assert stage.pid() != first
    assert before in lost
    assert {event["tree"] for event in lost if event["reason"] == "supervisor_lost"} == {play.tree for play in plays}
    assert all(play.is_dead for play in plays)
    assert stage.supervision.start([plays[0].command(["true"])])["known"][0]["reason"] == "supervisor_lost"


@pytest.mark.parametrize("kind", ["cgroup2", "pidns", "scan"])
def test_leftovers_are_swept_whatever_held_them(kind: str) -> None:
    """The next supervisor chooses for itself: another kind than the one that left something."""
    try:
        with supervised.stage(kind) as stage:
            play = stage.play()
            stage.supervision.start([play.run("if os.fork() == 0: os.setsid()\n" + RESTING)])
            play.wait_ready()
            stage.supervision._tree = None
            stage.kill_supervisor()
            ended = stage.hear("ended")
            assert ended["reason"] == "supervisor_lost"
            assert play.is_dead
    except SupervisorLostError as error:
        pytest.skip(f"{kind} does not work here: {error}")


def test_runs_fence_themselves_at_two_thirds_of_their_lease(stage: Stage) -> None:
    silent, trusted = stage.play(), stage.play()
    sent = time.clock_gettime(time.CLOCK_BOOTTIME)
    stage.supervision.lease(sent)
    stage.supervision.start([silent.run(RESTING, lease_s=1.5, grace_s=60), trusted.run(RESTING, lease_s=3600)])
    silent.wait_ready()
    trusted.wait_ready()

    assert stage.end(silent)["reason"] == "fenced"
    fenced = time.clock_gettime(time.CLOCK_BOOTTIME) - sent
    assert 1.0 <= fenced < 1.0 + 1.0 + 0.5
    assert silent.is_dead
    assert not trusted.is_dead


def test_a_fence_needs_no_agent(stage: Stage) -> None:
    play = stage.play()
    stage.supervision.start([play.run(RESTING, lease_s=1.5)])
    play.wait_ready()
    stage.supervision.close()
    play.wait_dead()
    with RawClient(stage.ground / "node") as again:
        ended = next(event for event in again.messages() if event["ev"] == "ended")
    assert ended["reason"] == "fenced"


def test_a_lease_never_goes_back(stage: Stage) -> None:
    play = stage.play()
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    stage.supervision.lease(now + 10_000)  # not in the future either
    stage.supervision.lease(now - 10_000)
    stage.supervision.start([play.run(RESTING, lease_s=1.5)])
    play.wait_ready()
    assert stage.end(play)["reason"] == "fenced"
    assert time.clock_gettime(time.CLOCK_BOOTTIME) - now >= 1.0


def test_a_second_supervisor_of_one_folder_refuses(stage: Stage) -> None:
    root = Path(workers.__file__).parents[1]
    second = subprocess.run(
        [sys.executable, "-I", "-S", "-c", BOOT, str(root), str(stage.ground / "node")],
        capture_output=True, timeout=supervised.WAIT_S, check=False,
    )  # fmt: skip
    assert second.returncode == 3
    assert b"another supervisor" in second.stderr
    assert stage.supervision.ping()["pid"] == stage.pid()


def test_many_agents_that_start_at_once_get_the_same_supervisor(tmp_path: Path) -> None:
    pids = []

    def connect() -> None:
        with RawClient(tmp_path) as agent:
            pids.append(agent.hello["pid"])

    threads = [threading.Thread(target=connect) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with RawClient(tmp_path) as agent:
        agent.shutdown(0)
        for _ in agent.messages():
            pass
    assert len(pids) == 5
    assert len(set(pids)) == 1


def test_shutdown_ends_all_trees_and_keeps_their_outcomes_for_the_next(stage: Stage) -> None:
    play = stage.play()
    stage.supervision.start([play.run(RESTING)])
    play.wait_ready()
    stage.supervision.shutdown(0.2)
    reasons = [event["reason"] for event in stage._incoming if event["ev"] == "ended"]
    assert reasons == ["killed:shutdown"]
    assert play.is_dead
    assert supervised.cgroups_of(stage) == []

    with RawClient(stage.ground / "node") as again:
        assert [event["reason"] for event in again.list_runs()] == ["killed:shutdown"]
        again.shutdown(0)


def test_nonsense_on_the_socket_is_answered_and_harms_nobody(stage: Stage) -> None:
    connected = start_or_connect(stage.ground / "node", sys.executable)
    with connected, connected.makefile("rwb") as lines:
        json.loads(lines.readline())
        for line in (
            b"nonsense",
            b"[1]",
            b'{"op":"dance"}',
            b'{"op":"kill","trees":[{}]}',
            b'{"op":"start"}',
            b'{"op":"lease","sent_boottime":"x"}',
        ):
            lines.write(line + b"\n")
            lines.flush()
            assert "error" in json.loads(lines.readline())
    assert stage.supervision.ping()["pid"] == stage.pid()


def test_a_client_that_reads_nothing_does_not_hold_up_the_others(stage: Stage) -> None:
    deaf = start_or_connect(stage.ground / "node", sys.executable)
    deaf.sendall(b'{"op":"subscribe"}\n')
    try:
        plays = [stage.play() for _ in range(50)]
        stage.supervision.start([play.command(["true"]) for play in plays])
        assert all(stage.end(play)["exit_code"] == 0 for play in plays)
    finally:
        deaf.close()


def test_the_supervisor_is_small_and_imports_nothing_but_its_parts(stage: Stage) -> None:
    status = Path(f"/proc/{stage.pid()}/status").read_text()
    rss_kib = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))
    assert rss_kib < SMALL_RSS_KIB
    code = "import sys; sys.path.append(sys.argv[1]); import workers.supervisor.main; print(*sys.modules)"
    root = Path(workers.__file__).parents[1]
    loaded = subprocess.check_output([sys.executable, "-I", "-S", "-c", code, str(root)], text=True).split()
    own = [name for name in loaded if name == "workers" or f"{name}.".startswith("workers.supervisor.")]
    outside = [name for name in loaded if name.partition(".")[0] not in {*sys.stdlib_module_names, "__main__"}]
    outside = sorted({*outside} - {*own})
    assert outside == []
    assert not {"dataclasses", "pathlib", "asyncio", "subprocess"} & set(loaded)


def test_a_recorded_pid_that_is_someone_elses_now_is_left_alone_by_the_sweep(tmp_path: Path) -> None:
    with subprocess.Popen([PYTHON, "-c", "import signal; signal.pause()"]) as stranger:
        try:
            journal = tmp_path / "outcomes.jsonl"
            outcomes = RunJournal(str(journal))
            outcomes.begin(processes.boot_id())
            outcomes.intend([("1.1", "job")])
            outcomes.record({"ev": "started", "tree": "1.1", "phase": "job", "pid": stranger.pid, "at": 0.0})
            outcomes.flush()
            with RawClient(tmp_path) as agent:
                events = agent.messages()
                ended = next(event for event in events if event["ev"] == "ended")
                agent.shutdown(0)
                for _ in events:
                    pass
            assert (ended["reason"], ended["pid"]) == ("supervisor_lost", stranger.pid)
            assert stranger.poll() is None
        finally:
            stranger.kill()
