"""What a run can reach beside its own folder, under each kind of tree: programs that try to get out, or to leave something."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import supervised
from tests.support.supervised import STRANGER, Play, Stage
from workers.agent.supervisor_client.launch import SupervisorLostError

KINDS = ["cgroup2", "cgroup1", "pidns", "scan"]
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root confines by itself")

LEAVE = """
import subprocess
for folder in ("/tmp", "/var/tmp", "/dev/shm"):
    open(folder + "/left", "w").write("for the next one")
subprocess.run(["ipcmk", "--shmem", "4096"], check=True, stdout=subprocess.DEVNULL)
"""
FIND = """
import glob, subprocess
found = [path for folder in ("/tmp", "/var/tmp", "/dev/shm") for path in glob.glob(folder + "/*") if "left" in path]
found += [line for line in subprocess.run(["ipcs", "-m"], capture_output=True, text=True).stdout.splitlines() if line[:2] == "0x"]
print(found)
"""
WRITE_EVERYWHERE = """
import os, tempfile
found = []
for top, folders, _ in os.walk("/"):
    if top.count("/") >= 4 or top.startswith(("/proc", "/sys/")): folders[:] = []
    try:
        with tempfile.TemporaryFile(dir=top): found.append(top)
    except OSError: pass
print(found)
"""
CALLS = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
def call(*words):
    ctypes.set_errno(0)
    return errno.errorcode.get(ctypes.get_errno()) if libc.syscall(*words) == -1 else "done"
import platform
new = platform.machine() != "x86_64"
print({name: call(number[new], *words) for name, number, words in (
    ("unshare", (272, 97), (0x10000000,)), ("clone", (56, 220), (0x10000000 | 17, 0, 0, 0, 0)), ("clone3", (435, 435), (0, 0)),
    ("keyctl", (250, 219), (0, -3, 1)), ("add_key", (248, 217), (b"user", b"x", b"y", 1, -4)), ("bpf", (321, 280), (0, 0, 0)),
    ("perf", (298, 241), (0, 0, 0, 0, 0)), ("userfaultfd", (323, 282), (1,)), ("io_uring", (425, 425), (1, 0)),
    ("mount", (165, 40), (b"x", b"/mnt", b"tmpfs", 0, 0)), ("fsopen", (430, 430), (b"tmpfs", 0)),
)})
"""
OLD_CALLS = r"""
import ctypes, mmap, platform
if platform.machine() != "x86_64": print(-38); raise SystemExit
code = mmap.mmap(-1, 4096, prot=7)  # getpid by the 32 bit door
code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))())
"""
KILL_ALL = """
import glob
for signum in (signal.SIGTERM, signal.SIGKILL):
    try: os.kill(-1, signum)
    except OSError as error: print(error.errno)
"""
ATTACK = """
import glob, socket, ctypes
node = sys.argv[1]
reached = []
try:
    with socket.socket(socket.AF_UNIX) as s: s.connect(node + "/supervisor.sock"); s.sendall(b"{}"); reached.append("socket")
except OSError: pass
for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/mem") + glob.glob(node + "/*"):
    if path.split("/")[2] in (str(os.getpid()), "1"): continue
    try:
        with open(path, "rb") as f: f.read(1); reached.append(path)
    except OSError: pass
for pid in (int(path[6:]) for path in glob.glob("/proc/[0-9]*")):
    if pid != os.getpid() and ctypes.CDLL(None).ptrace(16, pid, 0, 0) == 0: reached.append("ptrace %d" % pid)
print(reached)
"""


SEE_ALL = """
import glob
def is_own(path):
    try: return os.stat(path).st_uid == os.getuid()
    except OSError: return False
pids = [path.split("/")[2] for path in glob.glob("/proc/[0-9]*/cmdline")]
foreign = [open(f"/proc/{pid}/cmdline").read() for pid in pids if pid != "1" and not is_own(f"/proc/{pid}")]
print(["self"] + foreign if str(os.getpid()) in pids else ["nothing"])
"""


@pytest.fixture(scope="module", params=KINDS)
def held(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A supervisor with each kind of tree that works here."""
    try:
        with supervised.stage(request.param) as stage:
            yield stage
    except SupervisorLostError as error:
        pytest.skip(f"{request.param} does not work here: {error}")


def confined(held: Stage, **more: Any) -> tuple[Play, dict[str, Any]]:
    """Return a play, and how a run of it is confined."""
    play = held.play()
    temporary = play.folder / "tmp"
    temporary.mkdir()
    for folder in (temporary, play.folder):
        os.chown(folder, STRANGER, STRANGER)
    confinement = {"tmp": str(temporary), "writable": [str(play.folder)], "calls": "strict"} | more
    return play, {"uid": STRANGER, "gid": STRANGER, "confinement": confinement}


def said(held: Stage, code: str, **more: Any) -> str:
    """Run a program confined, to a good end; return what it printed."""
    play, owner = confined(held, **more)
    ended = held.do(play.run(code, **owner))
    assert (ended["reason"], ended["exit_code"]) == ("exit", 0), (ended, play.output("err"))
    return play.output().strip()


def test_what_a_job_leaves_in_shared_places_is_its_own_and_gone_for_the_next_one_of_the_same_user(held: Stage) -> None:
    said(held, LEAVE)
    assert said(held, FIND) == "[]"
    assert not [folder for folder in ("/tmp", "/var/tmp", "/dev/shm") if Path(folder, "left").exists()]


def test_a_phase_finds_what_an_earlier_one_left_in_its_temporary_folder(held: Stage) -> None:
    play, owner = confined(held)
    held.do(play.run("open('/tmp/mine', 'w').write('x')", phase="pre", **owner))
    held.supervision.start([play.run("print(os.path.exists('/var/tmp/mine'))", **owner)])
    held.hear("ended", play.tree)
    assert play.output().strip() == "True"


def test_a_job_can_write_nowhere_but_in_its_own_folders(held: Stage) -> None:
    play, owner = confined(held)
    ended = held.do(play.run(WRITE_EVERYWHERE, **owner))
    assert ended["exit_code"] == 0, play.output("err")
    own = {"/tmp", "/var/tmp", "/dev/shm", str(play.folder), f"{play.folder}/tmp"}
    assert set(eval(play.output())) <= own  # noqa: S307  our own program has printed it


def test_a_shared_folder_can_be_written_where_the_settings_name_it(held: Stage) -> None:
    shared = held.ground / f"shared-{len(list(held.ground.iterdir()))}"
    shared.mkdir()
    shared.chmod(0o777)
    play, owner = confined(held)
    owner["confinement"]["writable"].append(str(shared))
    held.do(play.run(f"open({str(shared / 'x')!r}, 'w').write('y')", **owner))
    assert (shared / "x").read_text() == "y", play.output("err")


def test_a_hidden_folder_is_empty_and_what_is_named_in_it_stays(held: Stage) -> None:
    code = f"print(os.listdir({str(held.ground)!r}), os.listdir({str(held.ground / 'node')!r}))"
    play, owner = confined(held, hidden=[str(held.ground), str(held.ground / "node")])
    owner["confinement"]["readable"] = [str(held.ground / "node")]
    owner["confinement"]["hidden"] = [str(held.ground)]
    held.do(play.run(f"print(sorted(os.listdir({str(held.ground)!r})))", **owner))
    assert eval(play.output()) == sorted([play.tree, "node"]), (code, play.output("err"))  # noqa: S307


def test_memory_of_its_own_has_a_limit(held: Stage) -> None:
    fill = "try: open('/dev/shm/x', 'wb').write(bytes(9 << 20))\nexcept OSError as error: print(error.errno)"
    assert said(held, fill, shm_bytes=4 << 20) == "28"


def test_calls_that_no_job_needs_are_denied(held: Stage) -> None:
    answers = eval(said(held, CALLS))  # noqa: S307  our own program has printed it
    assert answers.pop("clone3") == "ENOSYS"
    assert set(answers.values()) == {"EPERM"}, answers


def test_there_is_no_way_around_the_filter_by_calls_of_another_architecture(held: Stage) -> None:
    play, owner = confined(held)
    ended = held.do(play.run(OLD_CALLS, **owner))
    assert play.output().strip() == "-38" or ended["signal"], play.output("err")


def test_where_jobs_may_make_containers_they_can(held: Stage) -> None:
    answers = eval(said(held, CALLS, calls="namespaces"))  # noqa: S307  our own program has printed it
    assert answers["keyctl"] == answers["bpf"] == "EPERM"
    assert answers["unshare"] != "EPERM" or Path("/proc/sys/user/max_user_namespaces").read_text() == "0\n"


def test_a_job_that_kills_all_it_can_harms_nobody_else(held: Stage) -> None:
    play, owner = confined(held)
    held.do(play.run(KILL_ALL, **owner))
    assert held.supervision.ping()["pid"] == held.pid()
    assert said(held, "print('on')") == "on"


def test_a_job_reaches_neither_the_supervisor_nor_other_processes(held: Stage) -> None:
    play, owner = confined(held)
    run = play.run(ATTACK, **owner)
    run["argv"].append(str(held.ground / "node"))
    ended = held.do(run)
    assert (ended["exit_code"], play.output().strip()) == (0, "[]"), play.output("err")


def test_a_job_sees_no_process_of_another_user(held: Stage) -> None:
    """Their command lines are often somebody's secret: another project's arguments, or a password."""
    seen = said(held, SEE_ALL, own_processes=True)
    assert seen == "['self']"


def test_a_link_in_the_place_of_its_temporary_folder_is_the_job_s_own_fault(held: Stage) -> None:
    play, owner = confined(held)
    link = "os.rename({0!r}, {0!r} + '-'); os.symlink('/etc', {0!r})".format(str(play.folder / "tmp"))
    assert held.do(play.run(link, phase="pre", **owner))["exit_code"] == 0, play.output("err")
    held.supervision.start([play.run("print(os.listdir('/tmp')[:3])", **owner)])
    ended = held.hear("ended", play.tree)
    assert (ended["reason"], ended.get("of_program")) == ("launch", True), (ended, play.output())
