"""Forks from a process with several threads: none of them hangs its parent."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# The children are counted in shared memory. Threads that want the interpreter all the time are what a busy supervisor has.
PRELUDE = """
import errno, mmap, os, signal, threading, time
from workers.supervisor.trees import forking

begun = mmap.mmap(-1, 4096)

def become():
    begun[0:2] = (int.from_bytes(begun[0:2]) + 1).to_bytes(2)
    os.setsid()
    os.chdir("/")
    os.execve("/bin/true", ["true"], {})

def contend():
    while True:
        sum(range(3000))
        os.stat("/")
"""


def said(script: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + script], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_every_start_beside_busy_threads_succeeds() -> None:
    script = """
forking.prepare()
for _ in range(4):
    threading.Thread(target=contend, daemon=True).start()
statuses = [os.waitpid(forking.fork_apart(0, become), 0)[1] for _ in range(50)]
print(set(statuses), len(statuses))
"""
    assert said(script) == ["{0}", "50"]


def test_a_child_that_hangs_before_it_executes_is_killed_and_started_again() -> None:
    script = """
forking._PATIENCE_S = (0.2, 60.0)
def hang_first():
    if begun[100] == 0:
        begun[100] = 1
        signal.pause()
    become()
pid = forking.fork_apart(0, hang_first)
print(os.waitpid(pid, 0)[1], int.from_bytes(begun[0:2]))
try:
    os.waitpid(-1, 0)
except ChildProcessError:
    print("none-left")
"""
    assert said(script) == ["0", "1", "none-left"]


def test_where_every_child_hangs_the_start_is_refused() -> None:
    script = """
forking._PATIENCE_S = (0.1, 0.1)
try:
    forking.fork_apart(0, signal.pause)
except OSError as error:
    print(error.errno)
"""
    assert said(script) == [str(errno.EAGAIN)]


@pytest.mark.parametrize("code", [0, 3])
def test_a_child_that_ends_without_executing_is_returned_with_its_status(code: int) -> None:
    script = f"print(os.waitstatus_to_exitcode(os.waitpid(forking.fork_apart(0, lambda: os._exit({code})), 0)[1]))"
    assert said(script) == [str(code)]
