"""Only what is really an output of the job is published; everything else is named and refused."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.wire import OutputSpec
from tests.support.fake_node_api import FakeNodeApi
from tests.support.keys import FIRST
from tests.support.node import a_spec
from workers.api_client import ApiClient
from workers.events import OutputsCollected
from workers.files import collecting
from workers.files.collecting import CollectingTask
from workers.paths import Paths


@pytest.fixture
def api() -> Iterator[FakeNodeApi]:
    api = FakeNodeApi()
    yield api
    api.close()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "1.1/out"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def collect(api: FakeNodeApi, tmp_path: Path) -> Callable[..., OutputsCollected]:
    order = CollectingTask(ApiClient(api.url, "t"), Paths(str(tmp_path), "/l"), None, threading.Event())
    return lambda *outputs: collecting.collect(a_spec(outputs=outputs), order)


def one(name: str = "data", glob: str | None = None, **more: Any) -> OutputSpec:
    return OutputSpec(name=name, type=more.pop("type", "file"), glob=glob, **more)


def error_of(found: OutputsCollected) -> str | None:
    return None if found.failure is None else found.failure.error


def test_files_are_uploaded_under_their_output(
    api: FakeNodeApi, out: Path, collect: Callable[..., OutputsCollected]
) -> None:
    (out / "data.csv").write_bytes(b"1,2")
    (out / "sub").mkdir()
    for name in ("b.txt", "a.txt"):
        (out / "sub" / name).write_text(name)
    found = collect(one(), one("texts", "sub/*.txt", type="files"))
    assert found.failure is None
    data, texts = found.outputs
    assert data.file_id is not None
    assert texts.file_ids is not None
    assert api.files[data.file_id] == b"1,2"
    assert [api.files[number] for number in texts.file_ids] == [b"a.txt", b"b.txt"]
    assert ((1, 1), "texts", "sub_a.txt") in api.published


def test_the_manifest_sets_properties_and_message(out: Path, collect: Callable[..., OutputsCollected]) -> None:
    (out / "results.json").write_text('{"properties": {"rows": 3, "extra": null}, "message": "good", "more": 1}')
    found = collect(one("rows", type="property"))
    assert (found.outputs[0].value, found.properties["extra"], found.message) == (3, None, "good")


@pytest.mark.parametrize(
    "text",
    [
        *("not json", "[]", '{"properties": 1}', '{"message": 1}', "\xff"),
        *(
            r'{"properties": {"a": "b\u0000"}}',
            r'{"properties": {"\u0000": 1}}',
            '{"properties": {"a": 9223372036854775808}}',
        ),
        '{"properties": {"a": ' + "[" * 40 + "]" * 40 + "}}",
    ],
)
def test_a_manifest_that_is_none_is_refused(out: Path, collect: Callable[..., OutputsCollected], text: str) -> None:
    (out / "results.json").write_bytes(text.encode("latin-1"))
    assert error_of(collect()) == "invalid-output"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        *((str(number), "a") for number in (2**63, -(2**63), 2**64, 10**30)),
        ("-1" + "0" * 5000, "a"),
        *((f"[0, {word}]", "a[1]") for word in ("NaN", "Infinity", "-Infinity", "1e999")),
        *(('{"b": {"c": 18446744073709551616}}', "a.b.c"), ('{"b": 1, "b": 2}', "a.b"), (r'["\u0000"]', "a[0]")),
        (r'{"b": "\ud800"}', "a.b"),
    ],
)
def test_a_value_that_cannot_be_carried_exactly_is_refused_by_its_name(
    out: Path, collect: Callable[..., OutputsCollected], value: str, name: str
) -> None:
    (out / "results.json").write_text(f'{{"properties": {{"fine": 1, "a": {value}}}}}')
    failure = collect().failure
    assert failure is not None
    assert failure.error == "invalid-output"
    assert failure.message.startswith(f"The value {name!r} in results.json ")


def test_values_are_carried_exactly(out: Path, collect: Callable[..., OutputsCollected]) -> None:
    values = {
        "most": 2**63 - 1,
        "least": -(2**63) + 1,
        "real": 0.1,
        "tiny": 5e-324,
        "whole": 1.0,
        "list": [1, [None, True]],
    }
    (out / "results.json").write_text(json.dumps({"properties": values}))
    found = collect().properties
    assert found == values
    assert [type(value) for value in found.values()] == [type(value) for value in values.values()]


@pytest.mark.parametrize("output", [one(), one(type="files"), one("rows", type="property")])
def test_a_required_output_that_is_not_there_is_missing(
    out: Path, collect: Callable[..., OutputsCollected], output: Any
) -> None:
    assert error_of(collect(output)) == "missing-output"


def test_an_optional_output_may_be_absent(out: Path, collect: Callable[..., OutputsCollected]) -> None:
    found = collect(one(required=False), one("rows", type="property", required=False))
    assert (found.failure, list(found.outputs)) == (None, [])


def test_one_file_may_not_be_two(out: Path, collect: Callable[..., OutputsCollected]) -> None:
    (out / "data.a").touch()
    (out / "data.b").touch()
    assert error_of(collect(one())) == "invalid-output"


@pytest.mark.parametrize("mischief", ["link", "hard link", "fifo", "folder link", "foreign"])
def test_what_only_looks_like_an_output_is_refused(
    api: FakeNodeApi, out: Path, collect: Callable[..., OutputsCollected], tmp_path: Path, mischief: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    target = out / "data"
    if mischief == "link":
        target.symlink_to(secret)
    elif mischief == "hard link":
        os.link(secret, target)
    elif mischief == "fifo":
        os.mkfifo(target)
    elif mischief == "folder link":
        target.symlink_to(tmp_path)
    else:
        if os.geteuid() != 0:
            pytest.skip("only root can give files away")
        target.touch()
        os.chown(target, 12345, 12345)
    assert error_of(collect(one())) == "invalid-output"
    assert not api.published


def test_an_output_directory_that_became_a_link_is_refused(
    api: FakeNodeApi, out: Path, collect: Callable[..., OutputsCollected], tmp_path: Path
) -> None:
    out.rmdir()
    out.symlink_to("/etc")
    assert error_of(collect(one(glob="passwd"))) == "invalid-output"
    assert not api.published


def test_nothing_below_a_linked_folder_is_found(
    api: FakeNodeApi, out: Path, collect: Callable[..., OutputsCollected]
) -> None:
    (out / "sub").symlink_to("/etc")
    assert error_of(collect(one(glob="sub/passwd"))) == "missing-output"


def test_a_senseless_glob_is_an_invalid_output(out: Path, collect: Callable[..., OutputsCollected]) -> None:
    assert error_of(collect(one(glob="[z-a]"))) == "invalid-output"


def test_a_file_is_refused_by_its_length_before_it_is_read(
    api: FakeNodeApi, out: Path, collect: Callable[..., OutputsCollected]
) -> None:
    """It takes no disk at all: reading it would take hours."""
    with (out / "data").open("wb") as file:
        file.truncate(8 << 40)
    failure = collect(one()).failure
    assert failure is not None
    assert failure.error == "disk-full"
    assert "8388608 MiB long (0 MiB on disk); the job had asked for 64 MiB" in failure.message
    assert not api.published


def test_the_length_of_all_outputs_counts_together(out: Path, collect: Callable[..., OutputsCollected]) -> None:
    for name in ("data.a", "data.b"):
        with (out / name).open("wb") as file:
            file.truncate(40 << 20)
    assert error_of(collect(one(type="files"))) == "disk-full"
    assert error_of(collect(one(glob="*.a"))) is None


def test_more_files_than_an_execution_may_have_are_refused_with_the_limit(
    api: FakeNodeApi, out: Path, tmp_path: Path
) -> None:
    for number in range(11):
        (out / str(number)).touch()
    task = CollectingTask(ApiClient(api.url, "t"), Paths(str(tmp_path), "/l"), None, threading.Event())
    failure = collecting.collect(
        a_spec(outputs=[one(type="files", glob="*")], limits={"output_files": 10}), task
    ).failure
    assert failure is not None
    assert "more than 10 output files" in failure.message
    assert not api.published


def test_many_outputs_travel_together_in_their_order_with_few_files_open(
    api: FakeNodeApi, out: Path, tmp_path: Path
) -> None:
    for number in range(2_000):
        (out / f"{number:05}").write_bytes(b"%d" % number)
    (out / "00700").write_bytes(b"large" * 100_000)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    task = CollectingTask(ApiClient(api.url, "t"), Paths(str(tmp_path), "/l"), None, threading.Event())
    highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 20, limits[1]))
    try:
        found = collecting.collect(a_spec(outputs=[one(type="files", glob="*")]), task)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert found.failure is None
    ids = found.outputs[0].file_ids
    assert ids is not None
    wanted = [b"large" * 100_000 if number == 700 else b"%d" % number for number in range(2_000)]
    assert [api.files[number] for number in ids] == wanted
    assert api.calls["files"] < 10


def test_a_folder_nested_out_of_reach_is_the_job_s_own_fault(
    out: Path, collect: Callable[..., OutputsCollected]
) -> None:
    here = os.open(out, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=here)
        there = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = there
    os.close(here)
    (out / "a.txt").touch()
    failure = collect(one(glob="**/*.txt")).failure
    assert failure is not None
    assert (failure.error, "nested too deep" in failure.message) == ("invalid-output", True)
    assert error_of(collect(one(glob="*.txt"))) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_nothing_on_another_file_system_is_looked_at(out: Path, collect: Callable[..., OutputsCollected]) -> None:
    """Such a file system may be the job's own, and never answer."""
    (out / "sub").mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", out / "sub"], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        (out / "sub/a.txt").touch()
        assert error_of(collect(one(glob="**/*.txt"))) == "invalid-output"
        assert error_of(collect(one(glob="*.txt", required=False))) is None
    finally:
        subprocess.run(["umount", out / "sub"], check=True)


def test_collecting_is_given_up_when_asked(api: FakeNodeApi, out: Path, tmp_path: Path) -> None:
    (out / "data").touch()
    stop = threading.Event()
    stop.set()
    task = CollectingTask(ApiClient(api.url, "t"), Paths(str(tmp_path), "/l"), None, stop)
    assert error_of(collecting.collect(a_spec(outputs=[one()]), task)) == "invalid-output"
    assert not api.published


# --- files that the program names -------------------------------------------------------------------------


def named(out: Path, **outputs: Any) -> None:
    entries = [{"name": name, **files} for name, files in outputs.items()]
    (out / "results_manifest.json").write_text(json.dumps({"version": "1.1", "output_data": entries}))


def test_files_that_a_results_manifest_names_are_the_outputs_and_no_others(
    api: FakeNodeApi, out: Path, collect: Callable[..., OutputsCollected]
) -> None:
    (out / "deep").mkdir()
    for name in ("data.csv", "deep/chosen.bin", "b.txt", "a.txt"):
        (out / name).write_text(name)
    about = {"data_started": "2026-01-01T00:00:00Z", "geo_json": {"type": "Point", "coordinates": [1, 2]}}
    named(
        out,
        data={"file": {"path": f"{out}/deep/chosen.bin", "geo_metadata": about}},
        texts={"files": [{"path": "b.txt"}, {"path": "a.txt"}]},
    )
    found = collect(one(), one("texts", "*.csv", type="files"), one("rest", "results_*", type="files", required=False))
    assert found.failure is None
    assert [value.name for value in found.outputs] == ["data", "texts"]
    (fact,) = found.outputs[0].facts
    assert (fact.file_id, fact.geometry) == (found.outputs[0].file_id, about["geo_json"])
    assert found.outputs[1].facts == []


@pytest.mark.parametrize(
    ("outputs", "part"),
    [
        ({"unknown": {"file": {"path": "data.csv"}}}, "no output file of the job type"),
        ({"data": {"file": {"path": "missing"}}}, "missing"),
        ({"data": {"file": {"path": "link"}}}, "link"),
        ({"data": {"files": [{"path": "data.csv"}, {"path": "other.csv"}]}}, "is one file"),
        ({"data": {"files": []}}, "left no file"),
        ({"data": {"file": {"path": "../../etc/passwd"}}}, "not beneath"),
    ],
)
def test_a_results_manifest_that_cannot_be_followed_fails_the_job_with_the_reason(
    out: Path, collect: Callable[..., OutputsCollected], outputs: dict[str, Any], part: str
) -> None:
    for name in ("data.csv", "other.csv"):
        (out / name).write_text(name)
    (out / "link").symlink_to("/etc/passwd")
    named(out, **outputs)
    failure = collect(one()).failure
    assert failure is not None
    assert part in failure.message


def test_a_results_manifest_counts_also_where_no_output_is_declared(
    out: Path, collect: Callable[..., OutputsCollected], tmp_path: Path
) -> None:
    assert collecting.is_light(a_spec(outputs=[]), Paths(str(tmp_path), "/l"))
    (out / "results_manifest.json").write_text("{")
    assert not collecting.is_light(a_spec(outputs=[]), Paths(str(tmp_path), "/l"))
    assert error_of(collect()) == "invalid-output"


def test_lines_of_standard_output_name_files_unless_the_manifest_does(
    api: FakeNodeApi, out: Path, tmp_path: Path
) -> None:
    for name in ("x.bin", "y.bin", "z.bin"):
        (out / name).write_text(name)
    paths = Paths(str(tmp_path), str(tmp_path))
    printed = f"ARTIFACT:data:{out}/x.bin\nARTIFACT:more:y.bin\nARTIFACT:undeclared:y.bin\n"
    Path(paths.log(FIRST, "job", "stdout")).write_text(printed)
    named(out, more={"files": [{"path": "z.bin"}]})
    order = CollectingTask(ApiClient(api.url, "t"), paths, None, threading.Event())
    found = collecting.collect(a_spec(outputs=[one(), one("more", type="files")]), order)
    assert found.failure is None
    assert [len(value.file_ids or [value.file_id]) for value in found.outputs] == [1, 1]
