"""The supervisor's journal survives torn writes, full disks and its own growth."""

import json
import os
from pathlib import Path

import pytest

from workers.supervisor import journal
from workers.supervisor.journal import Outcomes

KEY = ("7.2", "job")


def ended(tree: str = "7.2", code: int = 0) -> dict[str, object]:
    return {"ev": "ended", "tree": tree, "phase": "job", "exit_code": code}


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "outcomes.jsonl")


def test_what_was_flushed_is_there_in_the_next_life(path: str) -> None:
    first = Outcomes(path)
    first.begin("boot")
    first.intend([KEY, ("8.1", "pre"), ("9.1", "job")])
    first.note({"ev": "started", "tree": "8.1", "phase": "pre", "pid": 5})
    first.note(ended())
    first.forget("9.1")
    first.flush()

    second = Outcomes(path)
    assert second.boot == "boot"
    assert second.ordered() == [KEY, ("8.1", "pre")]
    assert (second.is_ended(KEY), second.is_ended(("8.1", "pre"))) == (True, False)
    assert json.loads(second.text(KEY)) == ended()
    assert json.loads(second.text(("8.1", "pre")))["pid"] == 5


def test_an_intent_is_on_disk_before_anything_is_started(path: str) -> None:
    Outcomes(path).intend([KEY])
    again = Outcomes(path)
    assert again.has(KEY)
    assert again.text(KEY) == ""


@pytest.mark.parametrize(
    "torn", [b"", b"0badc0de {", b"zzz", b"\0" * 100, b'00000000 {"ev":"forgotten","tree":"7.2"}\n']
)
def test_a_torn_or_spoilt_tail_loses_nothing_before_it(path: str, torn: bytes) -> None:
    first = Outcomes(path)
    first.intend([KEY])
    first.note(ended(code=3))
    first.flush()
    with Path(path).open("ab") as file:
        file.write(torn)
    assert json.loads(Outcomes(path).text(KEY))["exit_code"] == 3


def test_any_cut_of_the_file_is_a_state_it_once_had(path: str) -> None:
    first = Outcomes(path)
    for number in range(5):
        first.intend([(f"{number}.1", "job")])
        first.note(ended(f"{number}.1"))
        first.flush()
    whole = Path(path).read_bytes()
    seen = set()
    for length in range(len(whole)):
        Path(path).write_bytes(whole[:length])
        again = Outcomes(path)
        assert [tree for tree, _ in again.ordered()] == [f"{number}.1" for number in range(len(again.ordered()))]
        assert all(again.is_ended(key) for key in again.ordered()[:-1])
        seen.add(len(again.ordered()))
        os.close(again._descriptor)
    assert seen == set(range(6))


def test_a_full_disk_refuses_intents_and_keeps_outcomes_for_later(path: str) -> None:
    found = Outcomes(path)
    found.intend([KEY])
    writable, found._descriptor = found._descriptor, os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(OSError):
        found.intend([("8.1", "job")])
    found.note(ended())
    with pytest.raises(OSError):
        found.flush()
    os.close(found._descriptor)
    found._descriptor = writable
    found.flush()
    again = Outcomes(path)
    assert again.ordered() == [KEY]
    assert again.is_ended(KEY)


def test_the_journal_stays_short_while_much_passes_through(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_COMPACT_ABOVE_BYTES", 4096)
    found = Outcomes(path)
    found.intend([KEY])
    for number in range(500):
        found.intend([(f"{number}.9", "job")])
        found.note(ended(f"{number}.9"))
        found.forget(f"{number}.9")
        found.flush()
        assert Path(path).stat().st_size < 5000
    assert Outcomes(path).ordered() == [KEY]


def test_forgetting_may_be_repeated(path: str) -> None:
    found = Outcomes(path)
    found.forget("7.2")
    found.intend([KEY])
    found.forget("7.2")
    found.forget("7.2")
    assert not found.has(KEY)
