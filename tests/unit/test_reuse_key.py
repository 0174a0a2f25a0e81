"""I-W11: two jobs have one key exactly if all that makes a job what it is is equal, the content of its files too; what differs is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scheduler.rules.job_type.definition import Definition
from scheduler.rules.job_type.interface import DeclaredOutput, Interface
from scheduler.rules.workflow import reuse

DEFINITION = Definition(command=("run", "it"), environment={"A": "1"}, secrets=("TOKEN",))
DATA: Any = {"version": "1.0", "input_data": [{"name": "n", "value": 1}, {"name": "table", "file_id": 7}, {"name": "all", "file_ids": [7, 8]}]}  # fmt: skip
FILES = {7: "aa" * 32, 8: "bb" * 32}


def parts(definition: Definition = DEFINITION, data: Any = DATA, files: Any = FILES, **other: Any) -> dict[str, str]:
    given: dict[str, Any] = {"project": 1, "kind": "geo 1.0, revision 3", "key": None} | other
    return reuse.parts(given["project"], given["kind"], definition, data, files, given["key"])


def data(**changed: Any) -> Any:
    return {**DATA, "input_data": [{**one, **changed.get(one["name"], {})} for one in DATA["input_data"]]}


OTHERS: list[tuple[dict[str, str], str]] = [
    (parts(project=2), "project"),
    (parts(kind="geo 1.0, revision 4"), "job type"),
    (parts(key="v2"), "cache.key"),
    (parts(replace(DEFINITION, command=("run", "that"))), "command"),
    (parts(replace(DEFINITION, pre_command=("before",))), "pre_command"),
    (parts(replace(DEFINITION, runner="python", options={"require": ["numpy==2"]})), "option 'require'"),
    (parts(replace(DEFINITION, environment={"A": "2"})), "environment 'A'"),
    (parts(replace(DEFINITION, environment={})), "environment 'A'"),
    (parts(replace(DEFINITION, secrets=("OTHER",))), "secrets"),
    (parts(replace(DEFINITION, interface=Interface(outputs=(DeclaredOutput("area", "property"),)))), "outputs"),
    (parts(data=data(n={"value": 2})), "input 'n'"),
    (parts(data=data(n={"value": "1"}), key="x"), "cache.key"),
    (parts(files={**FILES, 7: "cc" * 32}), "input 'table'"),
    (parts(data=data(all={"file_ids": [8, 7]})), "input 'all'"),
]


@pytest.mark.parametrize(("other", "named"), OTHERS)
def test_whatever_differs_makes_another_key_and_is_named(other: dict[str, str], named: str) -> None:
    assert reuse.digest(other) != reuse.digest(parts())
    assert named in str(reuse.difference(other, parts()))


def test_all_of_these_have_keys_of_their_own() -> None:
    different = [other for number, (other, _) in enumerate(OTHERS) if other not in [one for one, _ in OTHERS[:number]]]
    assert len({reuse.digest(one) for one in different}) == len(different)


def test_times_paths_amounts_ids_of_files_and_what_a_schedule_tells_do_not_count() -> None:
    same = replace(DEFINITION, cpus=4_000, mem=1, timeout_s=9, max_tries=1, priority=3, retry_on=("DATA",), grace_s=1)
    told = replace(DEFINITION, environment={"GANGER_NOMINAL_TIME": "2026-01-01T00:00:00Z", "A": "1"})
    moved = data(table={"file_id": 70}, all={"file_ids": [70, 80]})
    for other in (parts(same), parts(told), parts(data=moved, files={70: FILES[7], 80: FILES[8]})):
        assert reuse.digest(other) == reuse.digest(parts())
        assert reuse.difference(other, parts()) is None


def test_long_values_are_told_by_their_ends() -> None:
    told = reuse.difference(parts(files={**FILES, 7: "0" * 62 + "a1"}), parts(files={**FILES, 7: "0" * 62 + "9c"}))
    assert told is not None
    assert "input 'table' differs (…000000a1 against …0000009c)" in told


def test_an_image_is_known_by_its_digest_alone() -> None:
    for image, known in (
        ("registry.example/a:1", False), ("registry.example/a@sha256:" + "0" * 64, True), ("dir:/images/a", False), ("a@sha256:12", False),
    ):  # fmt: skip
        found = reuse.unknown_program(replace(DEFINITION, runner="container", options={"image": image}))
        assert (found is None) is known
    assert reuse.unknown_program(DEFINITION) is None
