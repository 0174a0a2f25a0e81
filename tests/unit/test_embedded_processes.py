"""Processes under care: known by more than their id, stopped in good time, kept alive, their logs kept short."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from api.up.embedded import child_process, processes, restarter
from api.up.embedded.child_process import ChildProcess, ChildSpec
from api.up.embedded.restarter import RestartedProcess
from api.up.embedded.stop_signals import StopSignalReceived, StopSignals


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "1000"])
    yield process
    process.kill()
    process.wait()


def spec(folder: Path, *argv: str, stop_within_s: float = 10.0) -> ChildSpec:
    return ChildSpec(
        name="one",
        argv=argv,
        log=folder / "one.log",
        record=folder / "one.pid",
        environment={"PATH": os.defpath},
        stop_within_s=stop_within_s,
    )


def gone(who: processes.ProcessIdentity) -> bool:
    """Whether it ends within ten seconds; the kernel needs a moment to carry out a SIGKILL."""
    deadline = time.monotonic() + 10
    while who.running() and time.monotonic() < deadline:
        os.sched_yield()
    return not who.running()


def test_a_process_is_known_by_its_start_not_by_its_id_alone(sleeper: subprocess.Popen[bytes]) -> None:
    who = processes.identify(sleeper.pid)
    assert who is not None
    assert who.running()
    assert processes.parse(who.text()) == who
    later = processes.ProcessIdentity(who.pid, who.started + 1, who.boot)
    assert not later.running()
    assert not later.signal(signal.SIGKILL)
    assert who.running()


def test_a_zombie_does_not_run(sleeper: subprocess.Popen[bytes]) -> None:
    who = processes.identify(sleeper.pid)
    assert who is not None
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert not who.running()
    assert processes.identify(sleeper.pid) is None


def test_what_a_killed_supervisor_left_is_ended_by_its_record(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    who = processes.identify(sleeper.pid)
    assert who is not None
    record = tmp_path / "record"
    record.write_text(who.text())
    assert child_process.end_recorded(record, signal.SIGTERM, 10)
    assert not record.exists()
    assert sleeper.wait(10) == -signal.SIGTERM


@pytest.mark.parametrize("text", ["", "12", "not a record", "1 2 another-boot"])
def test_a_record_of_nobody_ends_nobody(tmp_path: Path, text: str) -> None:
    record = tmp_path / "record"
    record.write_text(text)
    assert not child_process.end_recorded(record, signal.SIGTERM, 10)


def test_a_child_that_will_not_end_is_killed_with_its_whole_group(tmp_path: Path) -> None:
    program = "trap '' TERM; sleep 1000 & echo $!; wait; wait"
    stubborn = ChildProcess(spec(tmp_path, "/bin/sh", "-c", program, stop_within_s=0.2))
    stubborn.start()
    while not (grandchild := stubborn.spec.log.read_text().strip()):
        os.sched_yield()
    who = processes.identify(int(grandchild))
    stubborn.stop()
    assert stubborn.ended() == -signal.SIGKILL
    assert who is not None
    assert gone(who)


def test_a_child_gets_the_stop_signal_that_its_starter_was_told_to_ignore(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does with a job in the background
    try:
        quiet = ChildProcess(replace(spec(tmp_path, "/bin/sleep", "300"), stop_signal=signal.SIGINT))
        quiet.start()
        quiet.stop()
    finally:
        signal.signal(signal.SIGINT, before)
    assert quiet.ended() == -signal.SIGINT


def test_a_child_dies_with_the_one_who_started_it(tmp_path: Path) -> None:
    program = (
        "import sys; from tests.unit.test_embedded_processes import spec; from api.up.embedded.child_process import ChildProcess;"
        "from pathlib import Path; s = ChildProcess(spec(Path(sys.argv[1]), 'sleep', '1000')); s.start();"
        "print(s.pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    who = processes.identify(int(parent.stdout.readline()))
    assert who is not None
    parent.kill()
    parent.communicate()
    assert gone(who)


def test_the_last_words_are_the_line_that_tells_why(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("starting\nFATAL:  no room\nHINT:  make some\n")
    assert child_process.last_error_line_of(log) == "FATAL:  no room"
    log.write_text("one\ntwo\n")
    assert child_process.last_error_line_of(log) == "two"
    assert not child_process.last_error_line_of(tmp_path / "none")


def test_what_dies_is_started_again_ever_later(tmp_path: Path) -> None:
    told: list[str] = []
    dying = ChildProcess(spec(tmp_path, "/bin/sh", "-c", "exit 3"))
    dying.start()
    each = RestartedProcess("role", dying, dying.start)
    now, delays = time.monotonic(), []
    for _ in range(4):
        while each.due_at is None:
            each.step(now, told.append)
        delays.append(each.due_at - now)
        now = each.due_at
        each.step(now, told.append)
    assert delays == pytest.approx([0.2, 0.4, 0.8, 1.6])
    assert told[0].startswith("role ended with exit code 3; starting it again in 0.2 s")
    dying.stop()


def test_who_ended_with_a_reason_is_told_of_with_it(tmp_path: Path) -> None:
    told: list[str] = []
    dying = ChildProcess(spec(tmp_path, "/bin/sh", "-c", "echo 'ganger: no room here.' >&2; exit 2"))
    dying.start()
    each = RestartedProcess("role", dying, dying.start)
    while each.due_at is None:
        each.step(time.monotonic(), told.append)
    assert told[0].startswith("role ended with exit code 2: no room here; starting it again in 0.2 s (log: ")


def test_who_lived_long_is_started_again_at_once(tmp_path: Path) -> None:
    dying = ChildProcess(spec(tmp_path, "/bin/sh", "-c", "exit 3"))
    dying.start()
    each = RestartedProcess("role", dying, dying.start, deaths=6)
    now = time.monotonic() + restarter.WELL_AFTER_S
    while each.due_at is None:
        each.step(now, lambda _: None)
    assert each.due_at - now == pytest.approx(restarter.FIRST_DELAY_S)


def test_a_program_that_cannot_be_started_is_told_and_tried_again(tmp_path: Path) -> None:
    told: list[str] = []
    missing = ChildProcess(spec(tmp_path, "/no/such/program"))
    each = RestartedProcess("role", missing, missing.start, due_at=1.0)
    each.step(1.0, told.append)
    assert "cannot be started" in told[0]
    assert each.due_at is not None
    assert each.due_at > 1.0


def test_a_stop_signal_ends_the_wait_and_a_childs_end_does_too(tmp_path: Path) -> None:
    with StopSignals() as signals:
        child = ChildProcess(spec(tmp_path, "/bin/true"))
        child.start()
        signals.pause_until_event(30)
        assert child.ended() == 0
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StopSignalReceived, match="SIGTERM"):
            signals.pause(30)
        os.kill(os.getpid(), signal.SIGINT)  # the impatient second one harms nobody


def test_a_long_log_is_turned_over_under_its_writer(tmp_path: Path) -> None:
    log = tmp_path / "role.log"
    with log.open("ab", buffering=0) as writer:
        for letter in b"abcde":
            writer.write(bytes([letter]) * 10)
            restarter.rotate(log, limit=10)
        writer.write(b"after")
    assert log.read_bytes() == b"after"
    kept = [log.with_name(f"role.log.{number}").read_bytes() for number in range(1, restarter.LOGS_KEPT + 1)]
    assert kept == [b"e" * 10, b"d" * 10, b"c" * 10]
    assert not log.with_name(f"role.log.{restarter.LOGS_KEPT + 1}").exists()


@pytest.mark.parametrize(
    ("code", "words"), [(0, "ended with exit code 0"), (-9, "was killed by SIGKILL"), (-64, "was killed by SIGRTMAX")]
)
def test_an_exit_code_is_said_in_words(code: int, words: str) -> None:
    assert restarter.how_it_ended(code) == words
