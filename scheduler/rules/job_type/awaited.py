"""Awaited inputs: files of a job that are uploaded after it was submitted, and what is asked of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from scheduler.errors import FaultList
from scheduler.rules.job_type import interface as interfaces
from scheduler.rules.job_type.interface import DeclaredInput, Interface

MOST_AWAITED = 100
"""Inputs that one job awaits at most."""

UNSAID = "application/octet-stream"
"""The media type of clients that say nothing of it."""

_BLANKS = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class AwaitedInput:
    """One input that will be uploaded, and what is asked of it; None asks nothing. An optional one may be left out."""

    name: str
    file_name: str | None = None
    media_type: str | None = None
    max_size: int | None = None
    sha256: str | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class UploadedContent:
    """What came: its size in bytes, its SHA-256, and the media type that the client said, None if it said none."""

    size: int
    sha256: str
    media_type: str | None


def note_faults(
    interface: Interface, awaits: Sequence[AwaitedInput], given: Collection[str], faults: FaultList
) -> None:
    """Note which inputs cannot be awaited: no files, given already, there twice. `given` are the names of those with a value."""
    declared = {one.name: one for one in interface.inputs}
    seen: set[str] = set()
    for number, one in enumerate(awaits):
        where = f"awaits[{number}]"
        if one.name in seen:
            faults.note(f"the input {one.name!r} is there twice", field=f"{where}.name")
        seen.add(one.name)
        fault = _fault(declared.get(one.name), one, is_given=one.name in given)
        if fault is not None:
            faults.note(fault, field=f"{where}.name")


def _fault(declared: DeclaredInput | None, one: AwaitedInput, *, is_given: bool) -> str | None:
    if declared is None:
        return f"there is no input {one.name!r} in the interface"
    if declared.type == "property":
        return f"the input {one.name!r} is a value; only files can be awaited"
    if is_given:
        return f"the input {one.name!r} is given already; it is either given or awaited"
    if one.optional and declared.required:
        return f"the input {one.name!r} is required by the interface, so it cannot be optional"
    if one.media_type is not None and not interfaces.accepts(declared, one.media_type):
        return f"the input {one.name!r} takes {', '.join(declared.media_types)}, not {one.media_type}"
    return None


def complaint(declared: DeclaredInput, asked: AwaitedInput, came: UploadedContent | None) -> str | None:
    """Return the sentence that says what is wrong with what came for an input; None if it is as it was asked for."""
    if came is None:
        return None if asked.optional else f"the input {asked.name!r} was not uploaded"
    if asked.max_size is not None and came.size > asked.max_size:
        return f"the input {asked.name!r} has {came.size} bytes, more than the {asked.max_size} that were allowed"
    if asked.sha256 is not None and came.sha256 != asked.sha256:
        return f"the input {asked.name!r} has the sha256 {came.sha256}, not {asked.sha256} as announced"
    return None if came.media_type is None else _misfit(declared, asked, came.media_type)


def _misfit(declared: DeclaredInput, asked: AwaitedInput, said: str) -> str | None:
    if asked.media_type is not None and _plain(said) != _plain(asked.media_type):
        return f"the input {asked.name!r} came as {said}, not as {asked.media_type}"
    if not interfaces.accepts(declared, said):
        return f"the input {asked.name!r} came as {said}; it takes {', '.join(declared.media_types)}"
    return None


def media_type(declared: DeclaredInput, asked: AwaitedInput, came: UploadedContent) -> str:
    """Return the media type of the file that an upload becomes: what was said of it, else what was asked for."""
    taken = declared.media_types[0] if declared.media_types else UNSAID
    return came.media_type or asked.media_type or taken


def said(content_type: str) -> str | None:
    """Return the media type of a Content-Type header, None where it says nothing."""
    return None if _plain(content_type) in {"", UNSAID, "application/x-www-form-urlencoded"} else content_type.strip()


def _plain(media_type: str) -> str:
    return _BLANKS.sub("", media_type.split(";", maxsplit=1)[0]).lower()
