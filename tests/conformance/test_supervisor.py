"""The supervisor keeps its promises to the agent about what it starts, limits and kills."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import supervised
from tests.support.supervised import PYTHON, Stage
from tests.support.waiting import readable
from workers.supervisor.trees import TreeLimits, cgroup1, choice, hierarchy, processes

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
    wrong: list[dict[str, Any]] = [{"tree": "../x"}, {"phase": "lunch"}, {"argv": []}, {"argv": ["a\0b"]}, {"env": {"A": 1}}, {"cwd": "here"},
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
    for sentence in stage.supervision.hello["missing"]:
        if "leave out processes" in sentence:
            pytest.skip(f"NOT TESTED: {sentence}")
    play = stage.play()
    code = "if os.fork() == 0:\n    while time.process_time() < 0.3: pass\n    ready(); rest()\n"
    code += "with open(os.environ['READY']) as file: file.read(1)"
    ended = stage.do(play.run(code))
    assert ended["usage"]["cpu_s"] >= 0.3


def test_the_cpu_quota_stands_again_after_each_start_in_a_folder_used_before(stage: Stage) -> None:
    if stage.supervision.hello["tree"] != "cgroup1" or stage.supervision.hello["missing"]:
        pytest.skip("no version 1 cpu controller here")
    code = """
line = next(line for line in open("/proc/self/cgroup") if "cpu" in line.split(":")[1].split(","))
quota = "/sys/fs/cgroup/cpu" + line.strip().split(":")[2] + "/cpu.cfs_quota_us"
while os.path.exists(quota) and open(quota).read() != "50000\\n": pass
"""
    for _ in range(3):
        ended = stage.do(stage.play().run(code, limits={"cpus": 500}, timeout_s=30))
        assert (ended["reason"], ended["exit_code"]) == ("exit", 0), ended


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


def test_without_a_pids_controller_the_freezer_kills_even_a_fork_bomb() -> None:
    mount = next((each for each in hierarchy.mounts() if each.version == 1 and "freezer" in each.options), None)
    if mount is None or not os.access(mount.path, os.W_OK):
        pytest.skip("no version 1 freezer here")
    node = choice.node_name("/nowhere/freezer-test")
    folder = hierarchy.CgroupHierarchy(f"{mount.path}/{node}")
    Path(folder.folder).mkdir(parents=True, exist_ok=True)
    kind = cgroup1.Cgroup1({"freezer": folder})
    tree = kind.create("1.1", TreeLimits())
    bomb = "import os, resource; os.setuid(54322); resource.setrlimit(resource.RLIMIT_NPROC, (40, 40))\nprint(flush=True)\n"
    bomb += "while True:\n    try: os.fork()\n    except OSError: pass"
    inside = f"echo 0 > {folder.path(tree.slot.name, 'tasks')} && exec {PYTHON} -S -c '{bomb}'"
    with subprocess.Popen(["sh", "-c", inside], stdout=subprocess.PIPE) as main:
        assert main.stdout is not None
        main.stdout.readline()
        give_up = time.monotonic() + 5
        while not tree.is_empty() and time.monotonic() < give_up:
            tree.kill()
            readable([main.stdout.fileno()], 0.01)  # a bomb forks on between two kills; its end is awaited here
    assert tree.is_empty()
    tree.remove()
    kind.close()
    assert not Path(folder.folder).exists()
