"""The supervisor's journal survives torn writes, full disks and its own growth."""

import json
import os
from pathlib import Path

import pytest

from workers.supervisor import journal
from workers.supervisor.journal import RunJournal

KEY = ("7.2", "job")


def ended(tree: str = "7.2", code: int = 0) -> dict[str, object]:
    return {"ev": "ended", "tree": tree, "phase": "job", "exit_code": code}


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "outcomes.jsonl")


def test_what_was_flushed_is_there_in_the_next_life(path: str) -> None:
    first = RunJournal(path)
    first.begin("boot")
    first.intend([KEY, ("8.1", "pre"), ("9.1", "job")])
    first.record({"ev": "started", "tree": "8.1", "phase": "pre", "pid": 5})
    first.record(ended())
    first.forget("9.1")
    first.flush()

    second = RunJournal(path)
    assert second.boot == "boot"
    assert second.runs() == [KEY, ("8.1", "pre")]
    assert (second.is_ended(KEY), second.is_ended(("8.1", "pre"))) == (True, False)
    assert json.loads(second.last_event(KEY)) == ended()
    assert json.loads(second.last_event(("8.1", "pre")))["pid"] == 5


def test_an_intent_is_on_disk_before_anything_is_started(path: str) -> None:
    RunJournal(path).intend([KEY])
    again = RunJournal(path)
    assert again.knows(KEY)
    assert again.last_event(KEY) == ""


@pytest.mark.parametrize(
    "torn", [b"", b"0badc0de {", b"zzz", b"\0" * 100, b'00000000 {"ev":"forgotten","tree":"7.2"}\n']
)
def test_a_torn_or_spoilt_tail_loses_nothing_before_it(path: str, torn: bytes) -> None:
    first = RunJournal(path)
    first.intend([KEY])
    first.record(ended(code=3))
    first.flush()
    with Path(path).open("ab") as file:
        file.write(torn)
    assert json.loads(RunJournal(path).last_event(KEY))["exit_code"] == 3


def test_any_cut_of_the_file_is_a_state_it_once_had(path: str) -> None:
    first = RunJournal(path)
    for number in range(5):
        first.intend([(f"{number}.1", "job")])
        first.record(ended(f"{number}.1"))
        first.flush()
    whole = Path(path).read_bytes()
    seen = set()
    for length in range(len(whole)):
        Path(path).write_bytes(whole[:length])
        again = RunJournal(path)
        assert [tree for tree, _ in again.runs()] == [f"{number}.1" for number in range(len(again.runs()))]
        assert all(again.is_ended(key) for key in again.runs()[:-1])
        seen.add(len(again.runs()))
        os.close(again._descriptor)
    assert seen == set(range(6))


def test_a_full_disk_refuses_intents_and_keeps_outcomes_for_later(path: str) -> None:
    found = RunJournal(path)
    found.intend([KEY])
    writable, found._descriptor = found._descriptor, os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(OSError):
        found.intend([("8.1", "job")])
    found.record(ended())
    with pytest.raises(OSError):
        found.flush()
    os.close(found._descriptor)
    found._descriptor = writable
    found.flush()
    again = RunJournal(path)
    assert again.runs() == [KEY]
    assert again.is_ended(KEY)


def test_the_journal_stays_short_while_much_passes_through(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_COMPACT_ABOVE_BYTES", 4096)
    found = RunJournal(path)
    found.intend([KEY])
    for number in range(500):
        found.intend([(f"{number}.9", "job")])
        found.record(ended(f"{number}.9"))
        found.forget(f"{number}.9")
        found.flush()
        assert Path(path).stat().st_size < 5000
    assert RunJournal(path).runs() == [KEY]


def test_forgetting_may_be_repeated(path: str) -> None:
    found = RunJournal(path)
    found.forget("7.2")
    found.intend([KEY])
    found.forget("7.2")
    found.forget("7.2")
    assert not found.knows(KEY)
