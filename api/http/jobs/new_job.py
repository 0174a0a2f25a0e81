"""From the body of a new job to what the scheduler is asked for: field by field, by name.

A field of the body goes to the field of `NewJob` of its name, or into the overrides where it is one that a job sets over its
type. A new field is declared in the body and where it belongs in the scheduler, and nowhere in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from api.http.jobs import program_schema as programs
from api.http.jobs.needs_schema import new_needs
from api.http.jobs.program_schema import RENAMED, document
from api.http.jobs.schema import AwaitBody, JobBody
from api.http.jobs.wiring import wired
from api.http.schema.fields import stored, units
from scheduler.errors import GangerError, InvalidInput
from scheduler.jobs.entry_faults import EntryError, EntryFaults
from scheduler.jobs.new_job import NewJob
from scheduler.rules.job_type.awaited import AwaitedInput
from scheduler.rules.job_type.definition import OVERRIDABLE

NOT_ASKED = frozenset({"idempotency_key", "together"})
"""The fields that are about the request: the key of its repetition, and a word that `count` means members."""

SPLIT = frozenset({"job_type", "needs"})
"""The fields that are written by hand below: the name of a type and its version are two, and needs are records."""

_WRITTEN = {inside: outside for outside, inside in RENAMED.items()}
_AMOUNTS = frozenset({"cpus", "mem", "disk_out", "custom"})
_OVERRIDING = {*OVERRIDABLE, "secrets", "image"}
OVERRIDES = tuple(name for name in JobBody.model_fields if RENAMED.get(name, name) in _OVERRIDING)
PLAIN = frozenset(JobBody.model_fields) - {*OVERRIDES, *SPLIT, *NOT_ASKED}


def as_written(error: GangerError, bodies: Sequence[JobBody], *, many: bool) -> GangerError:
    """Return an error about new jobs by the fields that they were written with: an image is short for an option."""
    return programs.as_written(error, {f"[{n}]." if many else "": body for n, body in enumerate(bodies)})


def new_jobs(bodies: Sequence[JobBody], *, many: bool) -> list[NewJob]:
    """Return what the bodies of one request ask for. Raises InvalidInput with all inputs that are wired wrongly."""
    faults, found = EntryFaults(), []
    for number, body in enumerate(bodies):
        try:
            found.append(new_job(body))
        except GangerError as error:
            faults.add(number, error)
    try:
        faults.raise_all()
    except EntryError as error:
        raise error.named(range(len(bodies)) if many else None) from None
    return found


def new_job(body: JobBody) -> NewJob:
    """Return what a body asks for, in the scheduler's words. Raises InvalidInput for an input that is wired wrongly."""
    given = body.model_fields_set
    asked = stored(body, PLAIN & given, RENAMED)
    if body.job_type is not None:
        asked |= {"type_name": body.job_type.name, "type_version": body.job_type.version}
    if body.needs:
        asked |= {"needs": new_needs(body.needs)}
    if body.awaits is not None:
        asked["awaits"] = [_awaited(one) for one in body.awaits]
    overrides = document(body, OVERRIDES) if not given.isdisjoint(OVERRIDES) else None
    made = wired(NewJob(**asked, overrides=overrides))
    if made.needs_within_s is not None and not made.needs:
        raise InvalidInput("needs_within is for a job that needs others", field="needs_within")
    return made


def asked_for(stored_job: Mapping[str, object]) -> dict[str, object]:
    """Return the body that asks for a job which is stored as a document of `NewJob`: what `new_job` makes of it is that job again."""
    said = {**cast("Mapping[str, object]", stored_job.get("overrides") or {}), **stored_job}
    said.pop("overrides", None)
    name, version = said.pop("type_name", None), said.pop("type_version", None)
    body: dict[str, object] = {} if name is None else {"job_type": {"name": name, "version": version}}
    for field, value in said.items():
        body[_WRITTEN.get(field, field)] = _amounts(value) if field in _AMOUNTS else value
    return body


def _amounts(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: units(amount) for name, amount in value.items()}
    return units(value) if isinstance(value, int) else value


def _awaited(one: str | AwaitBody) -> AwaitedInput:
    if isinstance(one, str):
        return AwaitedInput(one)
    return AwaitedInput(one.name, one.file_name, one.media_type, one.max_size, one.sha256, one.optional)
