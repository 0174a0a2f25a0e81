"""However much is wrong with a request, what is kept of it and told stays small, and all of it is counted."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from scheduler.errors import MOST_FAULTS, FaultList, GangerError, InvalidInput
from scheduler.jobs.entry_faults import EntryError, EntryFaults
from scheduler.rules.job_type import parameters
from scheduler.rules.workflow.source import DefinitionFaults, DefinitionSource

MANY = 30_000
MOST_BYTES = 8 * 1024 * 1024


def of_one_list() -> GangerError:
    faults = FaultList()
    for number in range(MANY):
        faults.note(f"the value {number} is wrong", field="value")
    return faults.together()


def of_a_command() -> GangerError:
    faults = FaultList()
    parameters.note_missing({f"n{number}": "command" for number in range(MANY)}, {"x"}, faults)
    return faults.together()


def of_entries() -> GangerError:
    faults = EntryFaults()
    for number in range(MANY // 10):
        for value in range(10):
            faults.of(number).note(f"the value {value} is wrong", field="value")
    with pytest.raises(EntryError) as raised:
        faults.raise_all()
    return raised.value.named(range(MANY))


def of_a_definition() -> GangerError:
    faults = DefinitionFaults(DefinitionSource(None))
    for number in range(MANY):
        faults.note("it is wrong", "jobs", number)
    with pytest.raises(InvalidInput) as raised:
        faults.raise_all()
    return raised.value


@pytest.mark.parametrize("find", [of_one_list, of_a_command, of_entries, of_a_definition])
def test_of_many_faults_the_first_are_told_and_the_others_counted(find: Callable[[], GangerError]) -> None:
    tracemalloc.start()
    try:
        error = find()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(error.faults), error.more) == (MOST_FAULTS, MANY - MOST_FAULTS)
    assert str(error).endswith(f"and {MANY - MOST_FAULTS} more")
    assert peak < MOST_BYTES


def test_the_first_faults_of_a_definition_are_those_that_stand_first_in_its_text() -> None:
    source = DefinitionSource(None, {("jobs", number): (number, 1) for number in range(200)})
    faults = DefinitionFaults(source)
    for number in range(199, -1, -1):
        faults.note("it is wrong", "jobs", number)
    with pytest.raises(InvalidInput) as raised:
        faults.raise_all()
    assert [fault.field for fault in raised.value.faults][:2] == ["definition.jobs[0]", "definition.jobs[1]"]
    assert raised.value.more == 100
