"""The results manifest: `results_manifest.json` in the output directory, in which a program names the files of its outputs.

It is the form that programs of the job services write (version 1.1). A program may also print `ARTIFACT:<output>:<path>`
on a line of its own; where both name an output, the manifest counts. Files that are named need no glob.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from scheduler.documents import Document, JsonValue
from workers.files import manifest
from workers.files.manifest import ManifestError

NAME: Final = "results_manifest.json"
MOST_BYTES: Final = 4 << 20
_VERSION: Final = "1.1"
_ARTIFACT = re.compile(rb"^ARTIFACT:([^:\r\n]{1,128}):([^\r\n]{1,4096})\r?$", re.MULTILINE)
_TIMES: Final = ("data_started", "data_ended")


@dataclass(frozen=True, slots=True)
class NamedOutputFile:
    """A file of an output: its path below the output directory, and what the program said of the data in it."""

    path: str
    data_started: datetime | None = None
    data_ended: datetime | None = None
    geometry: Document | None = None


NamedOutputs = Mapping[str, Sequence[NamedOutputFile]]
"""The files that a program names, by output."""


def read(body: bytes, folder: str) -> NamedOutputs:
    """Return what a manifest names. `folder` is the output directory as the program saw it.

    Raises ManifestError, which names the entry at fault.
    """
    value = manifest.parse(body, NAME)
    if not isinstance(value, dict):
        raise ManifestError(f"{NAME} must be an object.")
    if value.get("version", _VERSION) != _VERSION:
        raise ManifestError(f"The version of {NAME} is {_shown(value['version'])}; it must be '{_VERSION}'.")
    if not isinstance(value.get("parse_results", []), list):
        raise ManifestError(f"'parse_results' in {NAME} must be a list.")
    entries = value.get("output_data", [])
    if not isinstance(entries, list):
        raise ManifestError(f"'output_data' in {NAME} must be a list.")
    found: dict[str, list[NamedOutputFile]] = {}
    for number, entry in enumerate(entries):
        name, files = _entry(entry, f"output_data[{number}]", folder)
        if name in found:
            raise ManifestError(f"output_data[{number}] in {NAME} names the output {name!r} again.")
        found[name] = files
    return found


def printed(stdout: bytes, folder: str) -> NamedOutputs:
    """Return what lines of standard output name. Raises ManifestError for a path outside of the output directory."""
    found: dict[str, list[NamedOutputFile]] = {}
    for line in _ARTIFACT.finditer(stdout):
        name, path = (part.decode("utf-8", "surrogateescape") for part in line.groups())
        files = found.setdefault(name, [])
        files.append(NamedOutputFile(_relative(path.strip(), folder, f"the line ARTIFACT:{name}")))
    return found


def _entry(entry: JsonValue, where: str, folder: str) -> tuple[str, list[NamedOutputFile]]:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise ManifestError(f"{where} in {NAME} must be an object with the 'name' of an output.")
    if ("file" in entry) == ("files" in entry):
        raise ManifestError(f"{where} in {NAME} must have either 'file' or 'files'.")
    if "file" in entry:
        return str(entry["name"]), [_file(entry["file"], f"{where}.file", folder)]
    files = entry["files"]
    if not isinstance(files, list):
        raise ManifestError(f"{where}.files in {NAME} must be a list.")
    return str(entry["name"]), [_file(one, f"{where}.files[{n}]", folder) for n, one in enumerate(files)]


def _file(value: JsonValue, where: str, folder: str) -> NamedOutputFile:
    if not isinstance(value, dict) or not isinstance(value.get("path"), str):
        raise ManifestError(f"{where} in {NAME} must be an object with a 'path'.")
    path = _relative(str(value["path"]), folder, f"{where}.path in {NAME}")
    about = value.get("geo_metadata")
    if about is None:
        return NamedOutputFile(path)
    if not isinstance(about, dict):
        raise ManifestError(f"{where}.geo_metadata in {NAME} must be an object.")
    started, ended = (_moment(about.get(name), f"{where}.geo_metadata.{name}") for name in _TIMES)
    return NamedOutputFile(path, started, ended, _geometry(about.get("geo_json"), f"{where}.geo_metadata.geo_json"))


def _moment(value: JsonValue, where: str) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value if isinstance(value, str) else "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ManifestError(f"{where} in {NAME} is no time such as 2026-01-01T00:00:00Z.") from None


def _geometry(value: JsonValue, where: str) -> Document | None:
    if value is None:
        return None
    if not isinstance(value, dict) or value.get("type") not in _PARTS:
        raise ManifestError(f"{where} in {NAME} is no GeoJSON: its 'type' is one of {', '.join(_PARTS)}.")
    if _PARTS[str(value["type"])] not in value:
        raise ManifestError(f"{where} in {NAME} is no GeoJSON: it has no '{_PARTS[str(value['type'])]}'.")
    return value


_PARTS: Final = {
    **dict.fromkeys(("Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon"), "coordinates"),
    "GeometryCollection": "geometries",
    "Feature": "geometry",
    "FeatureCollection": "features",
}
"""The kinds of GeoJSON (RFC 7946), each with the part that it must have."""


def _relative(path: str, folder: str, where: str) -> str:
    """Return a path below the output directory; the program may write it absolute, or from there."""
    below = os.path.relpath(path, folder) if path.startswith("/") else os.path.normpath(path)
    if below in {".", ""} or below == ".." or below.startswith("../") or "\0" in path:
        raise ManifestError(f"The path {_shown(path)} of {where} is not beneath the output directory.")
    return below


def _shown(value: object) -> str:
    return json.dumps(value)[:100]
