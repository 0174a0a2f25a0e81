"""Data sets by their verbs, on a real database, with the real program: whatever is done to one, it equals a model in memory."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from scheduler import keyring, wire
from scheduler.admin import seed, tokens
from scheduler.data_sets import changing, working
from scheduler.data_sets.changing import NewBlockModel
from scheduler.data_sets.working import QueryCriteria, StartedWork
from scheduler.errors import Conflict, InvalidInput, NotFound, Purged
from scheduler.explain.forecast import Forecaster
from scheduler.explain.job_explanation import explain
from scheduler.files import files
from scheduler.files.files import NewOutput
from scheduler.identifiers import Attempt, ExecutionId, FileId
from scheduler.identity import Caller, Role
from scheduler.jobs import cancel
from scheduler.jobs.admission import AdmissionCheck
from scheduler.leader import invariants
from scheduler.retention import purges
from scheduler.retention.sweep import Sweep
from scheduler.store.data_sets.sets import DataSetFilter, DataSetRow
from scheduler.uploads import arrival, content
from tests.support.cluster import Cluster
from workers.block_models import __main__ as program
from workers.block_models import packed

BLOCKS = (3, 2, 2)
GRID: Any = {"blocks": [*BLOCKS], "size": [1.0, 1.0, 1.0], "origin": [0.0, 0.0, 0.0], "rotation": []}
ALL = [(i, j, k) for k in range(2) for j in range(2) for i in range(3)]
ANN = Caller(1, "ann", Role.ADMIN)
KINDS: dict[str, Callable[[random.Random], str]] = {
         "Int32": lambda chance: str(chance.randrange(-99, 99)), "Utf8": lambda chance: f"r{chance.randrange(9)}",
         "Float64": lambda chance: str(chance.randrange(99) / 4), "Boolean": lambda chance: chance.choice(["true", "false"])}  # fmt: skip

Table = dict[str, dict[tuple[int, int, int], str]]
"""The values of a version: by title and block; what is not there is null."""


class World(Cluster):
    """A cluster with one node, which runs the program of block models in this process."""

    def __init__(self, database_url: str, root: Path) -> None:
        super().__init__(database_url, workspace_roots=(root,))
        self.rt = replace(self.rt, keyring=keyring.parse("k" * 43, "a test"))
        self.root = root
        (root / "files").mkdir()
        seed.seed(self.rt.db, files_dir=root / "files", block_models=packed.program())
        token_id, _ = tokens.create(self.rt, kind="user", role=Role.ADMIN, project=None, name="ann")
        assert token_id == ANN.token_id
        self.admission = AdmissionCheck(self.rt)
        self.node = self.a_node("n1", cpus=64_000, mem=64_000_000, labels={"runner.python": "1"})

    def create(self, name: str) -> DataSetRow:
        made, started = changing.create(self.rt, ANN, NewBlockModel("default", name, GRID), self.admission)
        self.work()
        assert self.status(started) == "COMPLETED"
        return made

    def update(self, model: DataSetRow, rows: str | None, *, merge: bool = True, **changes: Any) -> StartedWork:
        """Ask for an update and upload its file; nothing runs yet."""
        asked: Any = {
            "changes": {"new": [], "update": [], "delete": [], "rename": [], "metadata": [], **changes},
            "merge": merge,
            "input": {"file_format": "csv"},
            "comment": "",
        }
        started = working.update(self.rt, ANN, changing.get(self.rt, ANN, model.uuid), asked, self.admission)
        if rows is not None:
            upload = working.awaited(self.rt, started.job_id)
            assert upload is not None
            found = content.find(self.rt, upload)
            assert found is not None
            content.put(self.rt, found, [rows.encode()], None)
        for _ in range(2):
            arrival.uploaded(self.rt, started.job_id, "ann")
        return started

    def status(self, started: StartedWork) -> str:
        return str(self.job(started.job_id).status)

    def table(self, model: DataSetRow, version: UUID | None = None) -> Table:
        """Return the values of a version, as a query of all its columns brings them."""
        current = changing.get(self.rt, ANN, model.uuid)
        asked = QueryCriteria(["*"], version, exclude_null_rows=False)
        started, _, document = working.query(self.rt, ANN, current, asked, self.admission)
        self.work()
        _, state, _ = working.find(self.rt, current, started.job_uuid)
        file_id = self.value("SELECT id FROM files WHERE uuid = :uuid", uuid=state.output_file)
        text = b"".join(files.content(self.rt, ANN, FileId(file_id)).pieces).decode()
        header, *rows = csv.reader(StringIO(text))
        assert [tuple(map(int, row[:3])) for row in rows] == ALL
        assert header[3:] == document["names"]
        return {
            title: {block: row[at] for block, row in zip(ALL, rows, strict=True) if row[at] != ""}
            for at, title in enumerate(header[3:], 3)
        }

    def work(self) -> None:
        """Let the node do all that can be done."""
        while self.tick() or self.delivered:
            for _, _, execution_id, attempt in self.delivered:
                (spec,) = self.claim(self.node, (ExecutionId(execution_id), Attempt(attempt))).granted
                self._run(spec)
            self.delivered.clear()

    def _run(self, spec: wire.TaskSpec) -> None:
        place = self.root / f"x{spec.execution_id}"
        inputs, outputs = place / "in", place / "out"
        outputs.mkdir(parents=True)
        (inputs / "columns").mkdir(parents=True)
        request: Any = None
        for one in spec.inputs:
            if one.type == "property":
                request = one.value
                continue
            (inputs / one.name).mkdir(exist_ok=True)
            for file in one.files:
                assert file.local_path is not None
                (inputs / one.name / file.file_name).symlink_to(file.local_path)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GANGER_INPUT_DIR", str(inputs))
            patch.setenv("GANGER_OUTPUT_DIR", str(outputs))
            patch.setenv("GANGER_INPUT_REQUEST", orjson.dumps(request).decode())
            assert program.main() == 0
        properties = orjson.loads((outputs / "results.json").read_bytes())["properties"]
        self.report(
            self.node, (spec.execution_id, spec.attempt), outputs=self._outputs(spec, outputs), properties=properties
        )

    def _outputs(self, spec: wire.TaskSpec, folder: Path) -> list[wire.OutputValue]:
        made: dict[str, list[FileId]] = {}
        for path in sorted(folder.glob("*.column")) + sorted(folder.glob("blocks.*")):
            output = "new_columns" if path.suffix == ".column" else "result"
            new = NewOutput(spec.execution_id, spec.attempt, spec.token, output, path.name, "application/octet-stream")
            made.setdefault(output, []).append(files.add_output(self.rt, ANN, new, [path.read_bytes()]))
        return [wire.OutputValue(name=name, file_ids=ids) for name, ids in made.items()]


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    made = World(database_url, tmp_path)
    yield made
    made.close()


def new(title: str, kind: str) -> dict[str, Any]:
    return {"col_id": str(uuid4()), "title": title, "data_type": kind, "unit_id": None, "tags": None}


def csv_of(titles: list[str], rows: dict[tuple[int, int, int], dict[str, str]]) -> str:
    held = StringIO()
    writer = csv.writer(held)
    writer.writerow(["i", "j", "k", *titles])
    writer.writerows([*block, *(values.get(title, "") for title in titles)] for block, values in rows.items())
    return held.getvalue()


class Model:
    """What a block model should be: its versions, and whether it is deleted."""

    def __init__(self) -> None:
        self.kinds: dict[str, str] = {}
        self.versions: list[Table] = [{}]

    def update(self, chance: random.Random, world: World, row: DataSetRow) -> StartedWork:
        """Ask for some update of the newest version, and do the same here."""
        table = {title: dict(values) for title, values in self.versions[-1].items()}
        titles = [*table]
        chance.shuffle(titles)
        deleted, renamed, touched = (titles[at::4][:1] for at in range(3))
        added = {f"c{len(self.versions)}.{n}": chance.choice([*KINDS]) for n in range(chance.randrange(3))}
        merge = chance.random() < 0.6
        wanted = {**{title: self.kinds[title] for title in touched}, **added}
        blocks = chance.sample(ALL, chance.randrange(len(ALL) + 1))
        rows = {
            block: {t: KINDS[kind](chance) for t, kind in wanted.items() if chance.random() < 0.8} for block in blocks
        }
        renames = [{"title": title, "new_title": f"{title}'"} for title in renamed]
        changes = {"new": [new(title, kind) for title, kind in added.items()], "update": touched, "delete": deleted,
                   "rename": renames}  # fmt: skip
        if not any(changes.values()):
            changes["new"] = [new("first", "Int32")]
            wanted = added = {"first": "Int32"}
        started = world.update(row, csv_of([*wanted], rows) if wanted else None, merge=merge, **changes)
        for title in wanted:
            kept = table.get(title, {}) if merge else {}
            fresh = {block: shown(values[title], wanted[title]) for block, values in rows.items() if title in values}
            table[title] = {**{block: value for block, value in kept.items() if block not in rows}, **fresh}
        for title in deleted:
            del table[title]
        self.kinds |= added
        for title in renamed:
            table[f"{title}'"] = table.pop(title)
            self.kinds[f"{title}'"] = self.kinds[title]
        self.versions.append(table)
        return started


def shown(value: str, kind: str) -> str:
    return str(float(value)) if kind == "Float64" else value


@pytest.mark.parametrize("seed_number", range(4))
def test_any_sequence_of_changes_equals_a_model_in_memory(world: World, seed_number: int) -> None:
    chance = random.Random(seed_number)
    row, model = world.create("any"), Model()
    for _ in range(14):
        match chance.choice(["update", "update", "two", "wrong", "query", "delete"]):
            case "update":
                started = model.update(chance, world, row)
                world.work()
                assert world.status(started) == "COMPLETED", world.query("SELECT message FROM executions")
            case "two":  # the second is asked for before the first has run, and yet builds on it
                both = [model.update(chance, world, row) for _ in range(2)]
                world.work()
                assert [world.status(one) for one in both] == ["COMPLETED", "COMPLETED"]
            case "wrong":
                wrong = world.update(row, "i,j,k,bad\n0,0,0,x\n", new=[new("bad", "Int8")])
                world.work()
                assert world.status(wrong) == "FAILED"
            case "query":
                number = chance.randrange(len(model.versions))
                found, _ = working.page_of_versions(world.rt, row, len(model.versions) - 1 - number, 1)
                assert found[0].number == number + 1
                assert world.table(row, found[0].uuid) == model.versions[number]
            case "delete":
                changing.delete(world.rt, ANN, row.uuid)
                with pytest.raises(NotFound):
                    changing.get(world.rt, ANN, row.uuid)
                changing.restore(world.rt, ANN, row.uuid)
    assert world.table(row) == model.versions[-1]
    versions, total = working.page_of_versions(world.rt, row, 0, 100)
    assert [version.number for version in versions] == [*range(total, 0, -1)]
    assert total == len(model.versions)
    for version, wanted in zip(reversed(versions), model.versions, strict=True):
        assert {column["title"] for column in version.columns} == wanted.keys()
    assert invariants.check(world.rt) == []


def test_jobs_that_change_one_set_run_one_after_the_other_and_why_says_so(world: World) -> None:
    row, other = world.create("one"), world.create("other")
    first, second = (world.update(row, f"i,j,k,{t}\n", new=[new(t, "Int8")]) for t in "ab")
    elsewhere = world.update(other, "i,j,k,a\n", new=[new("a", "Int8")])
    assert world.tick() == 2
    assert [world.status(one) for one in (first, second, elsewhere)] == ["RUNNING", "QUEUED", "RUNNING"]
    assert world.tick() == 0
    told = explain(world.rt, Forecaster(world.rt), ANN, second.job_id)
    assert f"job {first.job_id} changes the same data set" in str(told)
    world.work()
    assert world.status(second) == "COMPLETED"


def test_an_update_that_is_tried_again_keeps_its_turn(world: World) -> None:
    row = world.create("one")
    first, second = (world.update(row, f"i,j,k,{t}\n0,0,0,1\n", new=[new(t, "Int8")]) for t in "ab")
    assert world.tick() == 1
    ref = world.execution_of(first.job_id)
    assert world.claim(world.node, ref).granted
    world.report(world.node, ref, "failed", error="unknown")
    world.delivered.clear()
    assert world.tick() == 0
    assert [world.status(one) for one in (first, second)] == ["QUEUED", "QUEUED"]
    told = explain(world.rt, Forecaster(world.rt), ANN, second.job_id)
    assert f"job {first.job_id} changes the same data set" in told["summary"]
    world.change("UPDATE jobs SET not_before = now() - interval '1 s', moved_xid = pg_current_xact_id() WHERE id = :id",
                 id=first.job_id)  # fmt: skip
    world.work()
    version = working.numbered(world.rt, row, 3)
    assert [column["title"] for column in version.columns] == ["a", "b"]


def test_a_result_that_is_not_what_its_type_declares_makes_no_version(world: World) -> None:
    row = world.create("strict")
    started = world.update(row, "i,j,k,a\n0,0,0,1\n", new=[new("a", "Int8")])
    unsound: list[dict[str, Any]] = [
        {},
        {"result": {"base": 1, "rows": 1, "bbox": None}},
        {"result": {"base": 0, "bbox": None}},
    ]
    for properties in unsound:
        world.change("UPDATE jobs SET not_before = NULL WHERE id = :id", id=started.job_id)
        world.tick()
        ref = world.execution_of(started.job_id)
        assert world.claim(world.node, ref).granted
        world.report(world.node, ref, properties=properties)
        assert world.execution(ref[0]).status == "FAILED"
    assert world.status(started) == "FAILED"
    assert world.job(started.job_id).error == "unsound-result"
    assert changing.get(world.rt, ANN, row.uuid).latest == 1


def test_a_job_that_is_canceled_while_it_runs_makes_no_version(world: World) -> None:
    row = world.create("late")
    started = world.update(row, "i,j,k,a\n0,0,0,1\n", new=[new("a", "Int8")])
    world.tick()
    ref = world.execution_of(started.job_id)
    (spec,) = world.claim(world.node, ref).granted
    cancel.cancel(world.rt, [started.job_id], actor="ann")
    world._run(spec)
    assert world.status(started) == "CANCELED"
    assert changing.get(world.rt, ANN, row.uuid).latest == 1
    again = world.update(row, "i,j,k,a\n0,0,0,1\n", new=[new("a", "Int8")])
    world.delivered.clear()
    world.work()
    assert world.status(again) == "COMPLETED"


def test_retention_takes_jobs_and_leaves_what_versions_hold(world: World) -> None:
    row = world.create("kept")
    world.update(row, "i,j,k,a\n0,0,0,1\n", new=[new("a", "Int8")])
    world.work()
    before = world.table(row)
    world.change('UPDATE projects SET retention = \'{"completed_days": 1, "files_days": 1}\'')
    world.change("UPDATE jobs SET last_modified = now() - interval '9 days'")
    world.change("UPDATE files SET last_modified = now() - interval '9 days'")
    Sweep(world.rt).run()
    assert world.value("SELECT count(*) FROM jobs") == 0
    held = world.value("SELECT file_id FROM data_set_files")
    with pytest.raises(Conflict):
        files.delete(world.rt, ANN, FileId(held))
    assert world.table(row) == before == {"a": {(0, 0, 0): "1"}}


def test_retention_takes_a_deleted_set_with_its_versions_and_files_and_no_other(world: World) -> None:
    rows = [world.create(name) for name in ("gone", "lately", "kept")]
    for row in rows:
        world.update(row, "i,j,k,a\n0,0,0,1\n", new=[new("a", "Int8")])
    world.work()
    waiting = world.update(rows[0], None, update=["a"])
    for row in rows[:2]:
        changing.delete(world.rt, ANN, row.uuid)
    world.change("UPDATE data_sets SET deleted = now() - interval '31 days' WHERE name = 'gone'")
    assert world.status(waiting) == "FAILED", "it awaited a file, and nobody sent one"
    due = [one for one in purges.due_now(world.rt) if one.what == "data-sets"]
    assert [(one.count, (one.size or 0) > 0) for one in due] == [(1, True)]
    path = world.value("SELECT f.path FROM files f JOIN data_set_files d ON d.file_id = f.id WHERE d.data_set_id = :id",
                       id=rows[0].id)  # fmt: skip
    assert (world.root / "files" / path).is_file()
    assert Sweep(world.rt).run()["data-sets"] == 1
    assert not (world.root / "files" / path).exists()
    with pytest.raises(NotFound):
        changing.restore(world.rt, ANN, rows[0].uuid)
    with world.rt.db.begin() as tx, pytest.raises(Purged):  # for who found it a moment before
        working.locked(tx, rows[0].id)
    assert world.value("SELECT count(*) FROM data_set_versions WHERE data_set_id = :id", id=rows[0].id) == 0
    changing.restore(world.rt, ANN, rows[1].uuid)
    assert world.table(rows[1]) == world.table(rows[2]) == {"a": {(0, 0, 0): "1"}}
    assert "data-sets" not in Sweep(world.rt).run()


@pytest.mark.parametrize(
    "changes",
    [
        {"update": ["no"]}, {"delete": ["no"]}, {"rename": [{"title": "no", "new_title": "x"}]},
        {"new": [new("a", "Int8")]}, {"new": [new("x", "Int8"), new("x", "Int8")]}, {"new": [new("i", "Int8")]},
        {"new": [new(" ", "Int8")]}, {"new": [new("x" * 201, "Int8")]}, {"new": [new("a\nb", "Int8")]},
        {"update": ["a", "a"]}, {"update": ["a"], "delete": ["a"]}, {"rename": [{"title": "a", "new_title": "version_id"}]},
        {"new": [new(f"n{n}", "Int8") for n in range(501)]},
    ],
)  # fmt: skip
def test_changes_that_the_newest_version_does_not_allow_are_refused_at_once(world: World, changes: Any) -> None:
    row = world.create("refusing")
    world.update(row, "i,j,k,a\n", new=[new("a", "Int8")])
    world.work()
    with pytest.raises(InvalidInput) as refused:
        world.update(row, None, **changes)
    assert all(fault.field is not None and fault.field.startswith("columns") for fault in refused.value.faults)
    assert world.value("SELECT count(*) FROM data_set_jobs") == 2


def test_names_are_taken_once_and_free_again_after_a_deletion(world: World) -> None:
    row = world.create("  name ")
    assert row.name == "name"
    for wrong in ("ab", "a/b", "x" * 101, "a\\b"):
        with pytest.raises(InvalidInput):
            world.create(wrong)
    with pytest.raises(Conflict):
        world.create("name")
    changing.delete(world.rt, ANN, row.uuid)
    other = world.create("name")
    with pytest.raises(Conflict):
        changing.restore(world.rt, ANN, row.uuid)
    changing.describe(world.rt, ANN, other.uuid, None, "another", {})
    assert changing.restore(world.rt, ANN, row.uuid).deleted is None
    rows, total = changing.page(world.rt, ANN, DataSetFilter(), 0, 10)
    assert ([one.name for one in rows], total) == (["name", "another"], 2)
