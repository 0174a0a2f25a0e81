"""The results manifest of the job services: what it names is taken, and what is wrong with it is said by its place."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from workers.files import results_manifest
from workers.files.manifest import ManifestError
from workers.files.results_manifest import NamedOutputFile

OUT = "/work/1.1/out"
POINT = {"type": "Point", "coordinates": [1, 2]}


def read(*entries: Any, **more: Any) -> Any:
    return results_manifest.read(json.dumps({"version": "1.1", "output_data": list(entries), **more}).encode(), OUT)


def test_files_are_named_from_the_output_directory_or_absolutely() -> None:
    named = read(
        {"name": "one", "file": {"path": f"{OUT}/a/b.txt"}},
        {"name": "many", "files": [{"path": "c.txt"}, {"path": "./d/../e.txt"}]},
        {"name": "none", "files": []},
        parse_results=[{"filename": "x"}],
    )
    assert named == {
        "one": [NamedOutputFile("a/b.txt")],
        "many": [NamedOutputFile("c.txt"), NamedOutputFile("e.txt")],
        "none": [],
    }


def test_a_manifest_may_leave_out_its_version_and_its_outputs() -> None:
    assert results_manifest.read(b"{}", OUT) == {}


def test_times_and_places_are_read() -> None:
    about = {"data_started": "2026-01-01T01:00:00+01:00", "data_ended": "2026-01-02T00:00:00", "geo_json": POINT}
    (found,) = read({"name": "one", "file": {"path": "x", "geo_metadata": about}})["one"]
    assert found.data_started == datetime(2026, 1, 1, tzinfo=UTC)
    assert found.data_ended == datetime(2026, 1, 2, tzinfo=UTC)
    assert found.geometry == POINT


FILE = {"path": "x"}


@pytest.mark.parametrize(
    ("manifest", "part"),
    [
        (b"\xff", "not UTF-8"),
        (b"{", "not JSON"),
        (b"[]", "must be an object"),
        ({"version": "1.0"}, "must be '1.1'"),
        ({"output_data": {}}, "'output_data' in results_manifest.json must be a list"),
        ({"parse_results": {}}, "'parse_results'"),
        ({"output_data": [{"file": FILE}]}, "output_data[0]"),
        ({"output_data": [{"name": "a"}]}, "either 'file' or 'files'"),
        ({"output_data": [{"name": "a", "file": FILE, "files": []}]}, "either 'file' or 'files'"),
        ({"output_data": [{"name": "a", "file": "x"}]}, "output_data[0].file"),
        ({"output_data": [{"name": "a", "files": [FILE, {}]}]}, "output_data[0].files[1]"),
        ({"output_data": [{"name": "a", "file": FILE}, {"name": "a", "file": FILE}]}, "output_data[1]"),
        ({"output_data": [{"name": "a", "file": {"path": "../x"}}]}, "not beneath"),
        ({"output_data": [{"name": "a", "file": {"path": "/etc/passwd"}}]}, "not beneath"),
        ({"output_data": [{"name": "a", "file": {"path": OUT}}]}, "not beneath"),
        ({"output_data": [{"name": "a", "file": {"path": "x", "geo_metadata": 5}}]}, "geo_metadata"),
        ({"output_data": [{"name": "a", "file": {"path": "x", "geo_metadata": {"data_started": "soon"}}}]}, "data_started"),
        ({"output_data": [{"name": "a", "file": {"path": "x", "geo_metadata": {"geo_json": {"type": "Dot"}}}}]}, "geo_json"),
        ({"output_data": [{"name": "a", "file": {"path": "x", "geo_metadata": {"geo_json": {"type": "Point"}}}}]}, "'coordinates'"),
        (b'{"output_data": [{"name": "a", "file": {"path": "x", "geo_metadata": {"geo_json": NaN}}}]}', "NaN"),
    ],
)  # fmt: skip
def test_a_bad_manifest_is_refused_by_the_place_at_fault(manifest: Any, part: str) -> None:
    body = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    with pytest.raises(ManifestError) as refused:
        results_manifest.read(body, OUT)
    assert part in str(refused.value)


def test_lines_of_output_name_files_too() -> None:
    printed = b"begin\nARTIFACT:one:/work/1.1/out/a.txt\r\nARTIFACT:many:b.txt\nARTIFACT:many:c d.txt\nxARTIFACT:no:x\nARTIFACT:no\n"
    assert results_manifest.printed(printed, OUT) == {
        "one": [NamedOutputFile("a.txt")],
        "many": [NamedOutputFile("b.txt"), NamedOutputFile("c d.txt")],
    }
    with pytest.raises(ManifestError, match="not beneath"):
        results_manifest.printed(b"ARTIFACT:one:/etc/passwd\n", OUT)
