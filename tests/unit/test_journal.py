"""The journal keeps every fact that was written, whatever happens to its end."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import pytest

from tests.support.keys import FIRST, a_key
from workers.agent.write_ahead_journal import WriteAheadJournal
from workers.journal import Journal, JournalEntry

INTENT = JournalEntry(FIRST, "intent", {"token": "abc"})
SPEC = JournalEntry(FIRST, "spec", {"spec": "{}"})
OTHER = JournalEntry(a_key(2, 1), "intent", {"token": "def"})


def test_what_was_written_is_read_back_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.append([INTENT, OTHER])
    journal.append([SPEC])
    assert Journal(tmp_path / "journal").facts() == [INTENT, SPEC, OTHER]


def test_what_is_done_is_forgotten(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.append([INTENT, OTHER, JournalEntry(FIRST, "done", {})])
    assert Journal(tmp_path / "journal").facts() == [OTHER]


def test_a_journal_cut_anywhere_still_has_every_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    Journal(path).append([INTENT, OTHER, SPEC])
    whole = path.read_bytes()
    ends = [index + 1 for index, byte in enumerate(whole) if byte == 10]
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        journal = Journal(path)
        assert len(journal.facts()) == sum(end <= cut for end in ends)
        assert journal.torn == (cut not in {0, *ends})
        journal.close()


def test_a_damaged_line_is_as_if_never_written(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    Journal(path).append([INTENT, OTHER])
    path.write_bytes(path.read_bytes().replace(b"abc", b"abd"))
    assert Journal(path).facts() == [OTHER]


def test_a_long_journal_about_what_is_done_is_rewritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.journal._COMPACT_BYTES", 10_000)
    journal = Journal(tmp_path / "journal")
    journal.append([OTHER])
    for _ in range(300):
        journal.append([INTENT, JournalEntry(FIRST, "done", {})])
    assert (tmp_path / "journal").stat().st_size < 20_000
    journal.append([SPEC])
    assert Journal(tmp_path / "journal").facts() == [OTHER, SPEC]


def test_a_write_that_fails_leaves_the_journal_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    journal.append([INTENT])
    size = path.stat().st_size
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, old[1]))
        with pytest.raises(OSError, match="File too large"):
            journal.append([OTHER])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, ignored)
    journal.append([SPEC])
    assert Journal(path).facts() == [INTENT, SPEC]


def test_a_journal_that_lost_only_placements_is_found_whole_again_with_nothing_to_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broken node claims nothing, so nothing is written: it would say for ever that the journal cannot be written."""
    capsys.readouterr()  # what is logged goes to memory, which has no limit
    path = tmp_path / "journal"
    write_ahead = WriteAheadJournal(Journal(path))
    write_ahead.write([SPEC], [])
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, old[1]))
        assert write_ahead.write([OTHER], []) == ([], [OTHER.key])
        write_ahead.write([], [])
        assert write_ahead.trouble is not None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, ignored)
    write_ahead.write([], [])
    assert write_ahead.trouble is None
    assert Journal(path).facts() == [SPEC]


def test_room_is_kept_ready_behind_the_end(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.append([INTENT])
    state = (tmp_path / "journal").stat()
    assert state.st_size < 1000
    if state.st_blocks * 512 < 1 << 19:
        pytest.skip("this file system cannot reserve room")
