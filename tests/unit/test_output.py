"""Output is handed over in order, once, from where it was left, up to its cap; progress is read out of it."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.identifiers import NodeId
from tests.support.fake_node_api import FakeNodeApi
from tests.support.keys import FIRST
from workers.api_client import ApiClient
from workers.output import progress
from workers.output.order import OutputSequence
from workers.output.progress import ProgressTracker
from workers.output.shipper import OutputShipper
from workers.paths import ExecutionKey, Paths, tree_name
from workers.supervisor.output_cap import CappedLog
from workers.supervisor.output_order import SUFFIX, OutputOrder
from workers.supervisor.request import RunLimits, RunRequest

KEY = FIRST
TOKEN = "token-of-a-claim"


class Setting:
    """A shipper with its thread, one API, one folder of logs."""

    def __init__(self, folder: Path) -> None:
        self.api = FakeNodeApi()
        self.paths = Paths(str(folder), str(folder))
        self.done: list[ExecutionKey] = []
        self.progress = ProgressTracker(lambda _key: TOKEN)
        self.ended = threading.Event()
        self.shipper = OutputShipper(
            ApiClient(self.api.url, "t"), self.paths, self.progress, lambda: NodeId(1), lambda _key: TOKEN, self.shipped
        )
        self.thread = threading.Thread(target=self.shipper.run)
        self.thread.start()

    def shipped(self, key: ExecutionKey) -> None:
        self.done.append(key)
        self.ended.set()

    def follow(self, cap: int = 1 << 20) -> Path:
        out, err = self.paths.log(KEY, "job", "stdout"), self.paths.log(KEY, "job", "stderr")
        run = RunRequest(tree_name(KEY), "job", [], {}, "/", out, err, limits=RunLimits(output_bytes=cap))
        self.shipper.follow(KEY, run)
        return Path(out)

    def close(self) -> None:
        self.shipper.stop()
        self.thread.join()
        self.api.close()


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    setting = Setting(tmp_path)
    yield setting
    setting.close()


def test_nothing_written_is_nothing_to_wait_for(setting: Setting) -> None:
    setting.follow()
    assert setting.shipper.finish(KEY, 1 << 20, {}, all_known=False)


def test_what_is_written_arrives_while_the_program_runs(setting: Setting) -> None:
    out = setting.follow()
    for word in (b"one\n", b"two\n", b"\xff\x00"):
        with out.open("ab") as file:
            file.write(word)
        setting.api.wait(lambda: setting.api.text().endswith(word), 3)  # noqa: B023  called right here
    assert setting.api.text() == b"one\ntwo\n\xff\x00"


def test_the_end_waits_for_all_of_a_long_output(setting: Setting) -> None:
    content = os.urandom(3 << 20)
    setting.follow(cap=10 << 20).write_bytes(content)
    assert not setting.shipper.finish(KEY, 10 << 20, {}, all_known=False)
    assert setting.ended.wait(10)
    assert (setting.api.text() == content, setting.done) == (True, [KEY])


def test_a_next_life_goes_on_where_the_last_one_was(setting: Setting, tmp_path: Path) -> None:
    out = setting.follow()
    out.write_bytes(b"first ")
    setting.api.wait(lambda: setting.api.text() == b"first ")
    setting.shipper.drop(KEY)
    with out.open("ab") as file:
        file.write(b"second")
    calls = len(setting.api.output)
    setting.follow()
    setting.api.wait(lambda: setting.api.text() == b"first second")
    assert len(setting.api.output) == calls


def test_output_of_a_command_that_ended_in_an_earlier_life_is_found(setting: Setting) -> None:
    setting.follow()
    Path(setting.paths.log(KEY, "post", "stderr")).write_bytes(b"late")
    assert not setting.shipper.finish(KEY, 1000, {}, all_known=False)
    assert setting.ended.wait(5)
    assert setting.api.text(KEY, "post", "stderr") == b"late"


def test_the_rest_beyond_the_cap_is_counted(setting: Setting) -> None:
    out = setting.follow(cap=10)
    out.write_bytes(b"x" * (8 << 20))
    setting.api.wait(lambda: setting.api.text() == b"x" * 10)
    assert not setting.shipper.finish(KEY, 10, {}, all_known=False)
    assert setting.ended.wait(5)
    assert b"limit of 10 bytes is reached, %d bytes are left out here" % ((8 << 20) - 20) in setting.api.text()


def test_a_flood_rests_while_others_are_handed_over(setting: Setting) -> None:
    flood = setting.follow(cap=64 << 20)
    flood.write_bytes(b"x" * (4 << 20))
    setting.api.wait(lambda: len(setting.api.text()) == 4 << 20)
    assert setting.shipper._writers[KEY].rests_until > 0


def test_output_waits_for_an_api_that_is_away(setting: Setting) -> None:
    setting.api.down = True
    setting.follow().write_bytes(b"kept")
    assert not setting.shipper.finish(KEY, 1000, {}, all_known=False)
    setting.api.wait(lambda: setting.api.calls["output"] >= 1)
    assert not setting.done
    setting.api.down = False
    assert setting.ended.wait(10)
    assert setting.api.text() == b"kept"


def test_progress_lines_are_read_out_of_the_output(setting: Setting) -> None:
    out = setting.follow()
    out.write_bytes(b"x\nGANGER_PROGRESS 55 nearly\nGANGER_PROGRESS 9")
    setting.api.wait(setting.api.text)
    with out.open("ab") as file:
        file.write(b"0 there\n")
    assert not setting.shipper.finish(KEY, 1 << 20, {}, all_known=False)
    assert setting.ended.wait(5)
    assert [(one.percent, one.note) for one in setting.progress.take_changes()] == [(90.0, "there")]


@pytest.mark.parametrize(
    ("text", "percent", "note"),
    [
        (b"GANGER_PROGRESS 10 a\nGANGER_PROGRESS 20 b\n", 20.0, "b"),
        (b"GANGER_PROGRESS 55.5% nearly\n", 55.5, "nearly"),
        (b"GANGER_PROGRESS 100\n", 100.0, None),
        (b"said GANGER_PROGRESS 10\n", None, None),
        (b"GANGER_PROGRESS 101\n", None, None),
        (b"GANGER_PROGRESS nan\n", None, None),
        (b"GANGER_PROGRESS 1.2.3 x\n", None, None),
    ],
)
def test_a_progress_line_says(text: bytes, percent: float | None, note: str | None) -> None:
    taken = ProgressTracker(lambda _key: TOKEN)
    taken.update(KEY, progress.last_line(text))
    said = taken.take_changes()
    assert [(one.percent, one.note) for one in said] == ([] if percent is None else [(percent, note)])


def test_progress_that_could_not_be_sent_is_sent_with_what_came_since() -> None:
    kept = ProgressTracker(lambda _key: TOKEN)
    kept.phase(KEY, "job")
    first = kept.take_changes()
    kept.update(KEY, progress.last_line(b"GANGER_PROGRESS 5 x\n"))
    kept.put_back(first)
    (one,) = kept.take_changes()
    assert (one.phase, one.percent) == ("job", 5.0)
    assert kept.take_changes() == []


def test_the_end_of_a_flood_is_kept_beside_its_beginning_without_half_a_secret(setting: Setting) -> None:
    """What the supervisor leaves: the beginning, a hole, and the last bytes where they belong."""
    secrets = Path(setting.paths.secrets(KEY))
    secrets.mkdir(parents=True)
    (secrets / "password").write_bytes(b"opensesame")
    out = setting.follow(cap=100)
    log = CappedLog(str(out), 100)
    log.write(b"begin\n" * 100)
    for _ in range(100):
        log.write(b"flood\n" * 20_000)
    log.write(b"sesame\nopensesame\nthe error stands here\n")
    assert log.close() == 0
    assert not setting.shipper.finish(KEY, 100, {}, all_known=True)
    assert setting.ended.wait(20)
    text = setting.api.text()
    written = 600 + 100 * 20_000 * 6 + len(b"sesame\nopensesame\nthe error stands here\n")
    head, _, rest = text.partition(b"\n[ganger: ")
    assert head == (b"begin\n" * 100)[:100]
    said, _, end = rest.partition(b"here]\n")
    assert end.endswith(b"sesame\n**********\nthe error stands here\n")
    assert len(end) <= 100
    assert b"%d bytes are left out" % (written - 100 - len(end)) in said


def test_what_is_little_beyond_the_cap_is_kept_whole(setting: Setting) -> None:
    out = setting.follow(cap=100)
    out.write_bytes(b"0123456789" * 15)
    assert not setting.shipper.finish(KEY, 100, {}, all_known=True)
    assert setting.ended.wait(20)
    assert setting.api.text() == b"0123456789" * 15


def test_output_that_stands_in_no_file_is_shipped_as_any_other(setting: Setting) -> None:
    out = setting.follow()
    setting.shipper.keep(KEY, "job", {"stdout": "GANGER_PROGRESS 40 \xff\n", "stderr": ""})
    assert not setting.shipper.finish(KEY, 1 << 20, {}, all_known=True)
    assert setting.ended.wait(20)
    assert setting.api.text() == b"GANGER_PROGRESS 40 \xff\n"
    assert [one.percent for one in setting.progress.take_changes()] == [40.0]
    assert not out.exists()


def test_a_later_life_ships_what_the_journal_has_kept(setting: Setting) -> None:
    kept = {"pre": {"stderr": "one"}, "job": {"stdout": "two"}}
    assert not setting.shipper.finish(KEY, 1 << 20, kept, all_known=False)
    assert setting.ended.wait(20)
    assert (setting.api.text(KEY, "pre", "stderr"), setting.api.text()) == (b"one", b"two")


def test_nothing_is_waited_for_where_nothing_was_written(setting: Setting) -> None:
    setting.follow()
    setting.shipper.keep(KEY, "job", {"stdout": "", "stderr": ""})
    assert setting.shipper.finish(KEY, 1 << 20, {}, all_known=True)


def test_both_streams_arrive_in_the_order_in_which_they_were_written(setting: Setting) -> None:
    out = Path(setting.paths.log(KEY, "job", "stdout"))
    err = Path(setting.paths.log(KEY, "job", "stderr"))
    order = OutputOrder(str(out))
    written = [(0, b"a"), (1, b"bb"), (0, b"ccc"), (1, b"d" * (300 << 10)), (0, b"e"), (1, b"ff")]
    for stream, piece in written:
        path = (out, err)[stream]
        order.note(stream, path.stat().st_size if path.exists() else 0, kept=False)
        with path.open("ab") as file:
            file.write(piece)
    setting.follow()
    setting.shipper.finish(KEY, 1 << 20, {}, all_known=False)
    assert setting.ended.wait(20)
    names = ("stdout", "stderr")
    assert b"".join(data for _, data in setting.api.arrived) == b"".join(piece for _, piece in written)
    changes = [stream for stream, _ in itertools.groupby(setting.api.arrived, key=lambda one: one[0])]
    assert changes == [names[stream] for stream, _ in written]


def test_the_cap_holds_for_both_streams_in_order(setting: Setting) -> None:
    out = Path(setting.paths.log(KEY, "job", "stdout"))
    order = OutputOrder(str(out))
    order.note(0, 0, kept=False)
    out.write_bytes(b"12345678")
    order.note(1, 0, kept=False)
    Path(setting.paths.log(KEY, "job", "stderr")).write_bytes(b"abcdefgh" * 5)
    setting.follow(cap=10)
    setting.shipper.finish(KEY, 10, {}, all_known=False)
    assert setting.ended.wait(20)
    assert [data for _, data in setting.api.arrived][:2] == [b"12345678", b"ab"]
    assert b"output limit of 10 bytes" in setting.api.text(KEY, "job", "stderr")


def test_a_stream_alone_has_no_file_of_its_order(tmp_path: Path) -> None:
    order = OutputOrder(str(tmp_path / "out"))
    for position in range(3):
        order.note(0, position, kept=False)
    assert not list(tmp_path.iterdir())
    order.note(1, 0, kept=True)
    assert not list(tmp_path.iterdir())
    order.write()
    assert (tmp_path / f"out{SUFFIX}").read_text() == "0 0\n1 0\n"


def test_the_order_of_what_changes_without_end_stays_small_and_is_read_on(tmp_path: Path) -> None:
    order, sequence = OutputOrder(str(tmp_path / "out")), OutputSequence(str(tmp_path / f"out{SUFFIX}"))
    shipped = {"stdout": 0, "stderr": 0}
    for round_number in range(100):
        for change in range(round_number * 50, round_number * 50 + 50):
            order.note(0, change * 10, kept=False)
            order.note(1, change * 5, kept=False)
        sizes = {"stdout": (change + 1) * 10, "stderr": (change + 1) * 5}
        found = sequence.stretches(sizes, shipped)
        assert len(found) <= 64
        for one in found:
            assert one.end >= shipped[one.stream]
            shipped[one.stream] = one.end
        assert shipped == sizes
    assert (tmp_path / f"out{SUFFIX}").stat().st_size < 70_000
