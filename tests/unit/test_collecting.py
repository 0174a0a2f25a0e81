"""Only what is really an output of the job is published; everything else is named and refused."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.wire import OutputSpec
from tests.support.fake_node_api import FakeNodeApi
from tests.support.node import a_spec
from workers.api_client import ApiClient
from workers.events import OutputsCollected
from workers.files import collecting
from workers.files.collecting import CollectingTask
from workers.files.globs import file_names, matcher
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


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        (None, "data", True),
        (None, "data.tar.gz", True),
        (None, "database", False),
        (None, "sub/data", False),
        ("*.txt", "a.txt", True),
        ("*.txt", "sub/a.txt", False),
        ("**/*.txt", "a.txt", True),
        ("**/*.txt", "x/y/a.txt", True),
        ("x/**", "x/y/z", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[ab].t", "b.t", True),
        ("[!ab].t", "b.t", False),
        ("a.b", "axb", False),
        ("../*", "x", False),
        ("*", "results.json", False),
        ("results.json", "results.json", True),
        ("./x", "x", True),
    ],
)
def test_a_glob_means(glob: str | None, path: str, matches: bool) -> None:
    assert matcher(one(glob=glob))(path) is matches


def test_a_senseless_glob_is_an_invalid_output(out: Path, collect: Callable[..., OutputsCollected]) -> None:
    assert error_of(collect(one(glob="[z-a]"))) == "invalid-output"


def test_names_lose_their_folders_but_stay_different() -> None:
    names = file_names(["a/b", "a_b", "new\nline", "x" * 300 + "/1", "x" * 300 + "/2", "bad\udcff"])
    assert names[:3] == ["a_b", "2_a_b", "new_line"]
    assert len(set(names)) == 6
    assert all(0 < len(name.encode()) <= 255 for name in names)
