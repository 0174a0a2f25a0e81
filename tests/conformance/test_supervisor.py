"""The supervisor keeps its promises to the agent through crashes, reconnects, silence and repetition."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import supervised
from tests.support.supervised import PYTHON, Stage
from workers import supervision
from workers.outcomes import Outcomes
from workers.supervision import Supervision, SupervisorLostError
from workers.trees import cgroup1, choice, hierarchy, processes

RESTING = "signal.signal(signal.SIGTERM, signal.SIG_IGN); ready(); rest()"
SMALL_RSS_KIB = 16 << 10


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A supervisor with the best kind of tree that there is."""
    with supervised.stage() as found:
        yield found


def test_a_phase_ordered_twice_is_started_once(stage: Stage) -> None:
    play = stage.play()
    run = play.run("print('once', flush=True); ready(); rest()")
    stage.supervision.start([run])
    play.wait_ready()

    again = stage.supervision.start([run, run])
    assert [event["ev"] for event in again["known"]] == ["started", "started"]
    stage.supervision.kill([{"tree": play.tree, "grace_s": 0, "reason": "cancel"}])
    ended = stage.end(play)

    assert stage.supervision.start([run])["known"] == [ended]
    assert play.output() == "once\n"
    assert [event["ev"] for event in stage.events].count("ended") == 1


def test_one_batch_that_names_a_phase_twice_starts_it_once(stage: Stage) -> None:
    play = stage.play()
    run = play.command(["echo", "once"])
    stage.supervision.start([run, run])
    stage.end(play)
    assert play.output() == "once\n"


def test_phases_follow_one_another_in_one_tree_and_not_at_once(stage: Stage) -> None:
    play = stage.play()
    stage.supervision.start([play.run(RESTING, phase="pre")])
    play.wait_ready()
    refused = stage.supervision.start([play.command(["true"])])["refused"]
    assert refused == [{"tree": play.tree, "phase": "job", "message": "phase pre of this tree is not over"}]
    assert stage.supervision.release([play.tree]) == [{"tree": play.tree, "message": "not over yet"}]

    stage.supervision.kill([{"tree": play.tree, "grace_s": 0, "reason": "cancel"}])
    stage.hear("ended", play.tree)
    assert stage.do(play.command(["true"], phase="cleanup"))["exit_code"] == 0


def test_orders_that_make_no_sense_are_refused_one_by_one(stage: Stage) -> None:
    play = stage.play()
    good = play.command(["true"])
    wrong = [{"tree": "../x"}, {"phase": "lunch"}, {"argv": []}, {"argv": ["a\0b"]}, {"env": {"A": 1}}, {"cwd": "here"},
             {"timeout_s": -1}, {"limits": {"mem": 1.5}}, {"uid": 5}]  # fmt: skip
    answer = stage.supervision.start([good | each for each in wrong] + [good])
    assert len(answer["refused"]) == len(wrong)
    assert stage.end(play)["exit_code"] == 0


def test_a_time_limit_ends_a_phase_with_its_grace(stage: Stage) -> None:
    play = stage.play()
    ended = stage.do(play.run(RESTING, timeout_s=0.3, grace_s=0.2))
    assert (ended["reason"], ended["signal"]) == ("timeout", signal.SIGKILL)
    assert 0.5 <= ended["seconds"] < 1.5


def test_a_later_kill_can_shorten_the_grace_but_not_the_reason(stage: Stage) -> None:
    play = stage.play()
    stage.supervision.start([play.run(RESTING)])
    play.wait_ready()
    stage.supervision.kill([{"tree": play.tree, "grace_s": 1000, "reason": "cancel"}])
    stage.supervision.kill([{"tree": play.tree, "grace_s": 0, "reason": "drain"}])
    assert stage.end(play)["reason"] == "killed:cancel"


def test_lack_of_memory_is_told_by_the_kernels_counter(stage: Stage) -> None:
    if stage.supervision.hello["tree"] not in {"cgroup1", "cgroup2"} or stage.supervision.hello["missing"]:
        pytest.skip("no memory controller here")
    main, child = stage.play(), stage.play()
    eat = "x = bytearray(200 << 20)"
    stage.supervision.start([main.run(eat, limits={"mem": 64_000})])
    ended = stage.end(main)
    assert (ended["oom"], ended["signal"]) == (True, signal.SIGKILL)
    assert 60 < ended["usage"]["peak_mem_mib"] <= 64

    code = f"pid = os.fork()\nif pid == 0:\n    {eat}\nos.waitpid(pid, 0)"
    ended = stage.do(child.run(code, limits={"mem": 64_000}))
    assert ended["oom"], "a child was killed for memory, though main ended well"


def test_usage_counts_processes_that_nobody_waited_for(stage: Stage) -> None:
    if stage.supervision.hello["tree"] == "scan":
        pytest.skip("the scan cannot count those")
    play = stage.play()
    code = "if os.fork() == 0:\n    while time.process_time() < 0.3: pass\n    ready(); rest()\n"
    code += "with open(os.environ['READY']) as file: file.read(1)"
    ended = stage.do(play.run(code))
    assert ended["usage"]["cpu_s"] >= 0.3


def test_cpus_are_limited(stage: Stage) -> None:
    if stage.supervision.hello["missing"]:
        pytest.skip("no cpu controller here")
    play = stage.play()
    ended = stage.do(play.run("while time.process_time() < 0.3: pass", limits={"cpus": 200}))
    assert ended["seconds"] > 0.9


def test_an_output_file_keeps_to_its_cap_on_disk_and_the_program_goes_on(stage: Stage) -> None:
    play = stage.play()
    code = "for _ in range(64): os.write(1, b'x' * (1 << 20))\nready()"
    ended = stage.do(play.run(code, limits={"output_bytes": 1 << 20}))
    found = (play.folder / "out").stat()
    assert ended["exit_code"] == 0
    assert found.st_size == 64 << 20
    assert found.st_blocks * 512 <= 2 << 20


def test_an_output_path_that_is_no_plain_file_is_refused(stage: Stage) -> None:
    play = stage.play()
    (play.folder / "link").symlink_to("/etc/passwd")
    assert stage.do(play.command(["true"], stdout=str(play.folder / "link")))["reason"] == "launch"
    other = stage.play()
    ended = stage.do(other.command(["true"], stdout=str(other.folder / "alive")))
    assert ended["message"].endswith("not a plain file")


def test_a_new_subscriber_hears_all_that_is_not_released(stage: Stage) -> None:
    over, released, resting = stage.play(), stage.play(), stage.play()
    stage.do(released.command(["true"]))
    ended = stage.do(over.command(["false"]))
    stage.supervision.start([resting.run(RESTING)])
    resting.wait_ready()
    stage.supervision.release([released.tree])

    with Supervision(stage.ground / "node") as again:
        heard = []
        for event in again.events():
            if event["ev"] == "caught_up":
                break
            heard.append(event)
    assert [event["ev"] for event in heard] == ["connected", "ended", "started"]
    assert heard[1] == ended
    assert heard[2]["tree"] == resting.tree


def test_a_hundred_reconnects_under_load_lose_and_repeat_nothing(stage: Stage) -> None:
    plays = [stage.play() for _ in range(100)]
    node = stage.ground / "node"
    ended: dict[str, dict] = {}
    started: dict[str, int] = {}
    for play in plays:
        with Supervision(node) as agent:
            agent.start([play.command(["sh", "-c", "echo once; exit 7"])])
            for event in agent.events():
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
    with Supervision(stage.ground / "node") as again:
        reasons = [event["reason"] for event in again.list_runs() if event["ev"] == "ended"]
    assert reasons == ["fenced"]


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
    root = Path(supervision.__file__).parent.parent
    second = subprocess.run(
        [sys.executable, "-I", "-S", "-c", supervision.BOOT, str(root), str(stage.ground / "node")],
        capture_output=True, timeout=supervised.WAIT_S, check=False,
    )  # fmt: skip
    assert second.returncode == 3
    assert b"another supervisor" in second.stderr
    assert stage.supervision.ping()["pid"] == stage.pid()


def test_many_agents_that_start_at_once_get_the_same_supervisor(tmp_path: Path) -> None:
    pids = []

    def connect() -> None:
        with Supervision(tmp_path) as agent:
            pids.append(agent.hello["pid"])

    threads = [threading.Thread(target=connect) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Supervision(tmp_path) as agent:
        agent.shutdown(0)
        for _ in agent.events():
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

    with Supervision(stage.ground / "node") as again:
        assert [event["reason"] for event in again.list_runs()] == ["killed:shutdown"]
        again.shutdown(0)


def test_nonsense_on_the_socket_is_answered_and_harms_nobody(stage: Stage) -> None:
    connected = supervision.start_or_connect(stage.ground / "node", sys.executable)
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
    deaf = supervision.start_or_connect(stage.ground / "node", sys.executable)
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
    code = "import sys; sys.path.append(sys.argv[1]); import workers.supervisor; print(*sys.modules)"
    root = Path(supervision.__file__).parent.parent
    loaded = subprocess.check_output([sys.executable, "-I", "-S", "-c", code, str(root)], text=True).split()
    outside = [
        name for name in loaded if name.partition(".")[0] not in {*sys.stdlib_module_names, "workers", "__main__"}
    ]
    assert outside == []
    assert not {"dataclasses", "pathlib", "asyncio", "subprocess"} & set(loaded)


def test_a_process_under_a_reused_pid_is_never_signalled() -> None:
    with subprocess.Popen([PYTHON, "-c", "import signal; signal.pause()"]) as stranger:
        try:
            known = processes.look_up(stranger.pid)
            assert known is not None
            assert not processes.send(stranger.pid, signal.SIGKILL, known.start - 1)
            assert processes.look_up(stranger.pid) == known
            assert processes.send(stranger.pid, signal.SIGKILL, known.start)
        finally:
            stranger.kill()


def test_a_recorded_pid_that_is_someone_elses_now_is_left_alone_by_the_sweep(tmp_path: Path) -> None:
    with subprocess.Popen([PYTHON, "-c", "import signal; signal.pause()"]) as stranger:
        try:
            journal = tmp_path / "outcomes.jsonl"
            outcomes = Outcomes(str(journal))
            outcomes.begin(processes.boot_id())
            outcomes.intend([("1.1", "job")])
            outcomes.note({"ev": "started", "tree": "1.1", "phase": "job", "pid": stranger.pid, "at": 0.0})
            outcomes.flush()
            with Supervision(tmp_path) as agent:
                events = agent.events()
                ended = next(event for event in events if event["ev"] == "ended")
                agent.shutdown(0)
                for _ in events:
                    pass
            assert (ended["reason"], ended["pid"]) == ("supervisor_lost", stranger.pid)
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_without_a_pids_controller_the_freezer_kills_even_a_fork_bomb() -> None:
    mount = next((each for each in hierarchy.mounts() if each.version == 1 and "freezer" in each.options), None)
    if mount is None or not os.access(mount.path, os.W_OK):
        pytest.skip("no version 1 freezer here")
    node = choice.node_name("/nowhere/freezer-test")
    folder = hierarchy.Hierarchy(f"{mount.path}/{node}")
    Path(folder.folder).mkdir(parents=True, exist_ok=True)
    kind = cgroup1.Cgroup1({"freezer": folder})
    tree = kind.create("1.1", cgroup1.Limits())
    bomb = "import os, resource; os.setuid(54322); resource.setrlimit(resource.RLIMIT_NPROC, (40, 40))\nprint(flush=True)\n"
    bomb += "while True:\n    try: os.fork()\n    except OSError: pass"
    inside = f"echo 0 > {folder.path(tree.slot.name, 'tasks')} && exec {PYTHON} -S -c '{bomb}'"
    with subprocess.Popen(["sh", "-c", inside], stdout=subprocess.PIPE) as main:
        assert main.stdout is not None
        main.stdout.readline()
        give_up = time.monotonic() + 5
        while not tree.is_empty() and time.monotonic() < give_up:
            tree.kill()
            select.select([main.stdout], [], [], 0.01)
    assert tree.is_empty()
    tree.remove()
    kind.close()
    assert not Path(folder.folder).exists()
