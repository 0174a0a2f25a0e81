"""Reuse of results: what makes two jobs the same, how long a result is good, and in what two jobs differ.

Never times, paths, amounts or nodes: what a job is given and what it runs, alone. Of secrets the names count, not the values.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scheduler.documents import Document, JobDataDocument, JsonValue
from scheduler.rules.job_type.definition import COMMANDS, Definition

_DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}\Z")
_SHOWN = 30


@dataclass(frozen=True, slots=True)
class ReuseRule:
    """Results that are at most `valid_s` old are reused; None: none is, the job runs and its result replaces what there was.

    `key` tells apart what nothing else does.
    """

    valid_s: int | None = None
    key: str | None = None

    def document(self) -> Document:
        """Return the stored form."""
        return {"valid_s": self.valid_s, "key": self.key}


def stored(document: Mapping[str, JsonValue]) -> ReuseRule:
    """Return what a stored document says."""
    valid_s, key = document.get("valid_s"), document.get("key")
    return ReuseRule(valid_s if isinstance(valid_s, int) else None, key if isinstance(key, str) else None)


def unknown_program(definition: Definition) -> str | None:
    """Return why nobody can tell whether a job would run the same program again; None where it is known."""
    image = str(definition.options.get("image", ""))
    if definition.runner == "container" and not _DIGEST.match(image):
        return f"the image {image[:200]} has no digest, so nobody knows whether it is the same (name it with @sha256:…)"
    return None


def parts(
    project_id: int,
    job_type: str,
    definition: Definition,
    data: JobDataDocument,
    files: Mapping[int, str],
    key: str | None,
) -> dict[str, str]:
    """Return what makes a job what it is, by names for people.

    `job_type` is name and revision, `definition` what holds for the job, `files` the SHA-256 of the files of its inputs by id.
    """
    found = {"project": str(project_id), "job type": job_type, "runner": definition.runner}
    found |= {name: _text(getattr(definition, name)) for name in COMMANDS if getattr(definition, name)}
    found |= {f"option {name!r}": _text(value) for name, value in definition.options.items()}
    found |= {
        f"environment {name!r}": value
        for name, value in definition.environment.items()
        if not name.startswith("GANGER_")
    }
    found["secrets"] = _text(sorted(definition.secrets))
    found["outputs"] = _text(sorted(one.name for one in definition.interface.outputs))
    for entry in data.get("input_data", ()):
        ids = entry.get("file_ids", [entry["file_id"]] if "file_id" in entry else [])
        value: JsonValue = [files[one] for one in ids] if ids else entry.get("value")
        found[f"input {entry['name']!r}"] = _text(value)
    return found if key is None else {**found, "cache.key": key}


def digest(found: Mapping[str, str]) -> bytes:
    """Return the key of a job: equal for jobs whose parts are."""
    return hashlib.sha256(_text(dict(found)).encode()).digest()


def difference(found: Mapping[str, str], other: Mapping[str, str]) -> str | None:
    """Return in what a job differs from another, as `input 'table' differs (…a1 against …9c)`; None where it does not."""
    names = sorted((found.keys() | other.keys()), key=lambda name: (not name.startswith("input"), name))
    told = [_differs(name, found.get(name), other.get(name)) for name in names if found.get(name) != other.get(name)]
    if not told:
        return None
    more = f", and {len(told) - 3} more" if len(told) > 3 else ""  # noqa: PLR2004 - so many can be read
    return ", ".join(told[:3]) + more


def files_of(entries: Sequence[Mapping[str, JsonValue]]) -> list[int]:
    """Return the ids of the files that entries of inputs or outputs name."""
    found: list[int] = []
    for entry in entries:
        one, several = entry.get("file_id"), entry.get("file_ids")
        found += [one] if isinstance(one, int) else []
        found += [number for number in several if isinstance(number, int)] if isinstance(several, list) else []
    return found


def _differs(name: str, own: str | None, other: str | None) -> str:
    if own is None or other is None:
        return f"{name} is there {'no more' if own is None else 'now'}"
    return f"{name} differs ({_short(own)} against {_short(other)})"


def _short(value: str) -> str:
    """Return a value as it is where it is short, of a long one its end, which tells apart."""
    if len(value) <= _SHOWN:
        return value
    end = value.rstrip('"]')[-8:]
    return f"…{end}"


def _text(value: object) -> str:
    plain = list(value) if isinstance(value, tuple) else value
    return (
        plain
        if isinstance(plain, str)
        else json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    )
