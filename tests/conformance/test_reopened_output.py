"""Output that a program opens again by name: all of it arrives, in the order in which it was written."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import supervised
from tests.support.supervised import STRANGER, Stage
from tests.support.waiting import eventually
from workers.supervisor.output_cap import END_BYTES
from workers.supervisor.output_order import SUFFIX

BIG = 3 << 20


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A supervisor with the best kind of tree that there is."""
    with supervised.stage() as found:
        yield found


@pytest.fixture(params=["own", "stranger"])
def identity(request: pytest.FixtureRequest) -> dict[str, int]:
    """The user of the program: the supervisor's own, or one that owns nothing."""
    if request.param == "own":
        return {}
    if os.geteuid() != 0:
        pytest.skip("only root gives a program another user")
    return {"uid": STRANGER, "gid": STRANGER}


@pytest.mark.parametrize(
    "place", ["/dev/stdout", "/dev/stderr", "/proc/self/fd/1", "/proc/self/fd/2", "/dev/fd/1", "/proc/$$/fd/1"]
)
@pytest.mark.parametrize("operator", [">", ">>", "1<>"])
def test_a_stream_opened_again_keeps_what_was_written(
    stage: Stage, identity: dict[str, int], place: str, operator: str
) -> None:
    play = stage.play()
    script = f"echo one; echo eins >&2; echo two {operator} {place}; echo three; echo drei >&2"
    assert stage.do(play.command(["sh", "-c", script], **identity))["exit_code"] == 0
    to_error = place.endswith(("2", "stderr"))
    assert play.output("out") == ("one\nthree\n" if to_error else "one\ntwo\nthree\n")
    assert play.output("err") == ("eins\ntwo\ndrei\n" if to_error else "eins\ndrei\n")


def test_tee_in_the_middle_loses_nothing(stage: Stage, identity: dict[str, int]) -> None:
    play = stage.play()
    script = "echo before >&2; for n in 1 2 3; do echo $n; done | tee /dev/stderr; echo after >&2"
    assert stage.do(play.command(["sh", "-c", script], **identity))["exit_code"] == 0
    assert play.output("out") == "1\n2\n3\n"
    assert play.output("err") == "before\n1\n2\n3\nafter\n"


def test_a_program_that_cuts_its_own_output_loses_nothing(stage: Stage) -> None:
    play = stage.play()
    code = """
os.write(1, b'first\\n')
for cut in (lambda: os.ftruncate(1, 0), lambda: os.lseek(1, 0, os.SEEK_SET), lambda: os.truncate('/proc/self/fd/1', 0)):
    try: cut()
    except OSError: pass
os.write(1, b'second\\n')
"""
    assert stage.do(play.run(code))["exit_code"] == 0
    assert play.output() == "first\nsecond\n"


def test_much_output_from_several_processes_is_whole(stage: Stage) -> None:
    play = stage.play()
    script = (
        f"head -c {BIG} /dev/zero | tr '\\0' a & head -c {BIG} /dev/zero | tr '\\0' b > /dev/stdout & wait; printf end"
    )
    assert stage.do(play.command(["sh", "-c", script]))["exit_code"] == 0
    found = play.output()
    assert (found.count("a"), found.count("b"), found[-3:], len(found)) == (BIG, BIG, "end", 2 * BIG + 3)


def test_output_goes_on_in_the_file_that_is_there(stage: Stage) -> None:
    play = stage.play()
    (play.folder / "out").write_text("earlier\n")
    stage.do(play.command(["echo", "later"]))
    assert play.output() == "earlier\nlater\n"


def test_a_programs_own_limit_on_file_sizes_does_not_cut_its_output(stage: Stage) -> None:
    play = stage.play()
    ended = stage.do(play.run(f"os.write(1, b'x' * {BIG})", limits={"fsize": 1000}))
    assert (ended["exit_code"], len(play.output())) == (0, BIG)


def test_the_cap_keeps_beginning_and_end_and_the_length_tells_the_rest(stage: Stage) -> None:
    play = stage.play()
    ended = stage.do(play.run(f"os.write(1, b'0123456789' * {BIG})", limits={"output_bytes": 100_005}))
    found = (play.folder / "out").read_bytes()
    assert (ended["exit_code"], len(found)) == (0, 10 * BIG)
    assert found[:100_005] == b"0123456789" * 10_000 + b"01234"
    assert not found[100_005:-END_BYTES].strip(b"\0")
    assert found[-END_BYTES:] == (b"0123456789" * (END_BYTES // 10 + 1))[-END_BYTES:]


def test_a_little_output_of_a_short_program_comes_with_its_end_and_needs_no_file(stage: Stage) -> None:
    play = stage.play()
    ended = stage.do(play.command(["printf", "a\\377\\0z"], keep_output_bytes=100))
    assert ended["output"] == {"stdout": "a\xff\0z", "stderr": ""}
    assert not (play.folder / "out").exists()
    assert not (play.folder / "err").exists()


def test_more_output_than_is_to_come_with_the_end_is_whole_in_its_file(stage: Stage) -> None:
    play = stage.play()
    ended = stage.do(play.command(["sh", "-c", "printf 0123456789; echo no >&2; printf x"], keep_output_bytes=10))
    assert (ended["output"], play.output()) == ({"stdout": None, "stderr": "no\n"}, "0123456789x")


def test_output_beyond_the_cap_is_in_its_file_with_its_end(stage: Stage) -> None:
    play = stage.play()
    ended = stage.do(play.command(["printf", "0123456789"], keep_output_bytes=100, limits={"output_bytes": 5}))
    assert (ended["output"]["stdout"], play.output()) == (None, "0123456789")


def test_output_can_be_read_while_its_program_goes_on(stage: Stage) -> None:
    play = stage.play()
    stage.supervision.start([play.run("print('hello', flush=True); ready(); rest()", keep_output_bytes=100)])
    play.wait_ready()
    while play.output() != "hello\n":
        time.sleep(0.01)  # it is written a tenth of a second later, which nothing signals
    stage.supervision.kill([{"tree": play.tree, "grace_s": 0, "reason": "test"}])
    assert stage.hear("ended", play.tree)["output"] == {"stdout": None, "stderr": ""}


def test_it_is_written_down_when_the_stream_changes(stage: Stage) -> None:
    play = stage.play()
    for fifo in ("step1", "step2", "step3"):
        os.mkfifo(play.folder / fifo)
        (play.folder / fifo).chmod(0o644)
    script = "echo one; read x < step1; echo two >&2; read x < step2; echo three; read x < step3; echo four >&2"
    run = play.command(["sh", "-c", script], cwd=str(play.folder))
    assert not stage.supervision.start([run])["refused"]
    for step, (stream, text) in enumerate((("out", "one\n"), ("err", "two\n"), ("out", "one\nthree\n")), 1):
        eventually(lambda: play.output(stream) == text)  # noqa: B023  called right here
        (play.folder / f"step{step}").write_text("\n")
    assert stage.end(play)["exit_code"] == 0
    assert Path(run["stdout"] + SUFFIX).read_text() == "0 0\n1 0\n0 4\n1 4\n"
