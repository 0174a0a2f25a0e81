"""From a job as this dialect asks for it to a submission: texts become values, names of files become files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import orjson
from flask import g, request

from api.dialects.metafold import values
from api.dialects.metafold.schema import MetafoldJobBody
from api.http.routing import ApiCall
from scheduler.documents import Document, JsonValue
from scheduler.errors import FaultList, InvalidInput
from scheduler.jobs.new_job import NewJob
from scheduler.jobs.submit import IdempotencyKey, Submission
from scheduler.rules.job_type.interface import DeclaredInput, Interface
from scheduler.search import files, interfaces
from scheduler.store.admin.project_summaries import ProjectSummary


def read(call: ApiCall, project: ProjectSummary, body: MetafoldJobBody, labels: dict[str, str] | None) -> Submission:
    """Return the submission of one job with these labels. Raises InvalidInput that names the parameter at fault."""
    interface = interfaces.of_type(call.rt, project.id, body.type)
    if interface is None:
        raise InvalidInput(f"there is no job type {body.type!r}", field="type")
    inputs = _inputs(call, project, interface, body)
    new = NewJob(project=project.name, type_name=body.type, name=body.name, inputs=inputs, labels=labels)
    return Submission([new], keys())


def _inputs(call: ApiCall, project: ProjectSummary, interface: Interface, body: MetafoldJobBody) -> Document:
    declared = {one.name: one for one in interface.inputs}
    given: dict[str, tuple[str, JsonValue]] = {
        **{name: (f"parameters.{name}", value) for name, value in (body.parameters or {}).items()},
        **{name: (f"assets.{name}", value) for name, value in (body.assets or {}).items()},
    }
    faults = FaultList()
    wanted = {name: _names(value) for name, (_, value) in given.items() if _takes_files(declared.get(name))}
    known = files.newest(call.rt, project.id, sorted({one for names in wanted.values() for one in names}))
    inputs: Document = {}
    for name, (where, value) in given.items():
        one = declared.get(name)
        if one is None:
            faults.note(f"the job type {body.type} takes no {name!r}; it takes {_listed(declared)}", field=where)
        elif not _takes_files(one):
            inputs[name] = values.value_for(one, value)
        elif missing := [file for file in wanted[name] if file not in known]:
            faults.note(f"the project has no asset {missing[0]!r}", field=where)
        else:
            ids: list[JsonValue] = [known[file] for file in wanted[name]]
            inputs[name] = ids if one.type == "files" else ids[0] if len(ids) == 1 else ids
    faults.raise_all()
    return inputs


def _takes_files(declared: DeclaredInput | None) -> bool:
    return declared is not None and declared.type != "property"


def _names(value: JsonValue) -> list[str]:
    """Return the names of files that a value gives: one, or a list of them."""
    given = value if isinstance(value, list) else [value]
    return [one if isinstance(one, str) else values.text_of(one) for one in given]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)[:50]) or "nothing"


def keys() -> list[IdempotencyKey]:
    """Return the key under which a client may repeat this request; the published clients send none."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return []
    if not key.isascii() or not key.isprintable() or not 1 <= len(key) <= 128 or " " in key:  # noqa: PLR2004
        raise InvalidInput("the Idempotency-Key is 1 to 128 printable characters", field="Idempotency-Key")
    digest = hashlib.sha256(orjson.dumps([request.path, g.body], option=orjson.OPT_SORT_KEYS)).digest()
    return [IdempotencyKey(key, digest, range(1))]
