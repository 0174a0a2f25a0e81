"""Every kind of tree that works on this machine keeps the promises of its interface, against the nastiest programs."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.support import supervised
from tests.support.supervised import STRANGER, Stage
from workers.agent.supervisor_client.launch import SupervisorLostError
from workers.supervisor.trees import choice

KINDS = ["cgroup2", "cgroup1", "pidns", "scan", "scan as a plain user"]
GRACE_S = 0.3

NASTY = {
    "ignores SIGTERM": """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
ready(); rest()
""",
    "starts a session of its own": """
if os.fork() == 0:
    os.setsid(); ready()
rest()
""",
    "forks twice and lets the middle die": """
if os.fork() == 0:
    os.setsid()
    if os.fork(): os._exit(0)
    ready()
rest()
""",
    "forks twice and ignores SIGTERM": """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork(): os._exit(0)
    ready()
rest()
""",
    "forks as fast as it can": """
import resource
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.getuid(): resource.setrlimit(resource.RLIMIT_NPROC, (60, 60))
told = False
while True:
    try: os.fork()
    except OSError:
        if not told: told = True; ready()
""",
    "stops itself": """
pid = os.fork()
if pid == 0:
    os.kill(os.getpid(), signal.SIGSTOP)
    rest()
os.waitpid(pid, os.WUNTRACED)
ready()
os.kill(os.getpid(), signal.SIGSTOP)
""",
    "keeps children busy": """
for _ in range(4):
    if os.fork() == 0:
        while True: pass
ready(); rest()
""",
    "holds a FIFO open": """
path = os.environ["ALIVE"] + ".never"
os.mkfifo(path) if os.access(os.path.dirname(path), os.W_OK) else None
signal.signal(signal.SIGTERM, lambda *_: None)
ready()
while True:
    os.open(path, os.O_RDONLY) if os.path.exists(path) else rest()
""",
    "runs a container": """
if os.fork() == 0:
    os.execvp("unshare", ["unshare", "--fork", "--pid", "--mount-proc", "--propagation", "unchanged", "sh", "-c",
        "trap '' TERM; setsid sleep 1000 & echo x > $READY; wait"])
rest()
""",
    "changes its process group": """
if os.fork() == 0:
    os.setpgid(0, 0)
    if os.fork() == 0: os.setpgid(0, 0); ready()
rest()
""",
    "replaces itself and its environment": """
ready_path = os.environ["READY"]
os.execve("/bin/sh", ["sh", "-c", "trap '' TERM; echo x > " + ready_path + "; while :; do sleep 1000; done"],
    {"PATH": "/usr/bin:/bin"})
""",
}


@pytest.fixture(scope="module", params=KINDS)
def held(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A supervisor with each kind of tree that works here."""
    kind, _, plain = request.param.partition(" ")
    if os.geteuid() != 0 and plain:
        pytest.skip("only root can become another user")
    try:
        with supervised.stage(kind, STRANGER if plain else None) as stage:
            assert stage.supervision.hello["tree"] == kind
            yield stage
    except SupervisorLostError as error:
        pytest.skip(f"{kind} does not work here: {error}")


@pytest.mark.parametrize("nasty", NASTY)
def test_a_nasty_program_is_dead_after_its_grace(held: Stage, nasty: str) -> None:
    play = held.play()
    owner = {"uid": STRANGER, "gid": STRANGER} if nasty == "forks as fast as it can" and os.geteuid() == 0 else {}
    if nasty == "runs a container" and (os.geteuid() != 0 or _is_plain(held)):
        pytest.skip("only root may unshare PID namespaces here")
    if _is_plain(held):
        owner = {}
    held.supervision.start([play.run(NASTY[nasty], limits={"pids": 50}, **owner)])
    play.wait_ready()

    held.supervision.kill([{"tree": play.tree, "grace_s": GRACE_S, "reason": "cancel"}])
    ended = held.end(play)

    assert play.is_dead, "the end was told while a process was alive"
    assert ended["reason"] == "killed:cancel"


def test_without_grace_a_tree_that_ignores_sigterm_is_killed(held: Stage) -> None:
    play = held.play()
    held.supervision.start([play.run(NASTY["forks twice and ignores SIGTERM"])])
    play.wait_ready()
    held.supervision.kill([{"tree": play.tree, "grace_s": 0, "reason": "cancel"}])
    assert held.end(play)["signal"] == signal.SIGKILL
    assert play.is_dead


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_exit_codes_come_through(held: Stage, code: int) -> None:
    play = held.play()
    ended = held.do(play.command(["sh", "-c", f"exit {code}"]))
    assert (ended["reason"], ended["exit_code"], ended["signal"]) == ("exit", code, None)


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGPIPE])
def test_signals_come_through(held: Stage, signum: int) -> None:
    play = held.play()
    ended = held.do(play.command(["sh", "-c", f"kill -{int(signum)} $$"]))
    assert (ended["reason"], ended["exit_code"], ended["signal"]) == ("exit", None, signum)


def test_what_main_leaves_behind_is_killed_and_then_its_end_is_told(held: Stage) -> None:
    play = held.play()
    ended = held.do(play.run(_LEAVES_A_DAEMON))
    assert (ended["reason"], ended["exit_code"]) == ("exit", 0)
    assert play.is_dead


_LEAVES_A_DAEMON = """
reading, writing = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork(): os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.write(writing, b"x"); rest()
os.read(reading, 1)
"""


def test_those_that_outlive_main_have_the_rest_of_their_grace(held: Stage) -> None:
    play = held.play()
    held.supervision.start(
        [
            play.run("""
if os.fork() == 0:
    def late(*_):
        while os.getppid() == parent: pass  # main dies first
        print("finished", flush=True); os._exit(0)
    signal.signal(signal.SIGTERM, late)
    parent = os.getppid(); ready(); rest()
rest()
""")
        ]
    )
    play.wait_ready()
    held.supervision.kill([{"tree": play.tree, "grace_s": 20, "reason": "cancel"}])
    held.end(play)
    assert play.output() == "finished\n"
    assert play.is_dead


def test_a_program_starts_with_nothing_but_what_was_ordered(held: Stage) -> None:
    play = held.play()
    leak = os.dup2(1, 200, inheritable=True)  # of the agent; a supervisor started now would inherit it
    try:
        held.do(play.command(["sh", "-c", _INVENTORY], cwd="/usr") | {"env": {"A": "b", "PATH": "/usr/bin:/bin"}})
    finally:
        os.close(leak)
    mark = f"GANGER_TREE={choice.node_name(str(held.ground / 'node'))}/{play.tree}"
    assert play.output().split() == [
        "A=b",
        mark,
        "PATH=/usr/bin:/bin",
        "PWD=/usr",
        "/usr",
        "0",
        "1",
        "2",
        "own",
        "0" * 16,
    ]


# Environment, directory, descriptors (ls itself has one more), session, blocked signals.
_INVENTORY = """
env | grep -v ^_= | sort; pwd; ls /proc/self/fd | head -3
[ "$(cut -d' ' -f6 /proc/$$/stat)" = "$(cut -d' ' -f1 /proc/$$/stat)" ] && echo own
grep SigBlk /proc/self/status | cut -f2
"""


def test_a_program_that_cannot_be_started_says_why(held: Stage) -> None:
    play, elsewhere = held.play(), held.play()
    missing = held.do(play.command(["/no/such/program"]))
    forbidden = held.do(held.play().command(["/etc/passwd"]))
    nowhere = held.do(elsewhere.command(["true"], cwd="/no/such/folder"))
    assert (missing["reason"], missing["message"]) == ("launch", "/no/such/program: No such file or directory")
    assert (nowhere["reason"], nowhere["message"]) == ("launch", "/no/such/folder: No such file or directory")
    assert [each["of_program"] for each in (missing, forbidden, nowhere)] == [True, True, False]


def test_a_program_runs_as_the_user_it_was_ordered_for(held: Stage) -> None:
    if os.geteuid() != 0 or _is_plain(held):
        pytest.skip("only root can become another user")
    play = held.play()
    ended = held.do(
        play.command(["sh", "-c", "id -u; id -g; id -G; grep NoNewPrivs /proc/self/status"], uid=STRANGER, gid=STRANGER)
    )
    assert ended["exit_code"] == 0, play.output("err")
    assert play.output().split() == [str(STRANGER)] * 3 + ["NoNewPrivs:", "1"]
    assert (play.folder / "out").stat().st_uid == os.geteuid(), "the log file is the node's; the program has a pipe"
    assert (play.folder / "out").stat().st_mode & 0o777 == 0o600


def test_limits_of_open_files_and_file_size_hold(held: Stage) -> None:
    play = held.play()
    large = str(play.folder / "large")
    ended = held.do(
        play.command(
            ["sh", "-c", "ulimit -n; until [ $(ulimit -Hn) = 77 ]; do :; done; head -c 9000 /dev/zero > $0", large],
            limits={"nofile": 77, "fsize": 8192},
        )
    )
    assert play.output() == "77\n"
    assert (play.folder / "large").stat().st_size == 8192
    assert ended["exit_code"] != 0


def test_nothing_is_left_of_a_tree_that_is_over(held: Stage) -> None:
    play = held.play()
    held.do(play.command(["true"]))
    held.supervision.release([play.tree])
    assert not [path for path in supervised.cgroups_of(held) if path.endswith(f"/{play.tree}")]
    assert play.tree not in {run["tree"] for run in held.supervision.list_runs()}


def _is_plain(stage: Stage) -> bool:
    return stage.ground.stat().st_uid == STRANGER
