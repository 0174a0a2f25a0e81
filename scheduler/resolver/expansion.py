"""Expansion: a step of a workflow that is a job for each value of an output becomes these jobs, once the output is there.

Until then one job stands for all of them, and its group is open: nothing that needs the group is released. The jobs are
made in the transaction that notices, so each exactly once, whatever crashes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import orjson
from sqlalchemy import Connection

from scheduler.documents import DataEntry, Document, JobDataDocument, JsonValue
from scheduler.identifiers import JobId
from scheduler.rules.job_type import definition as definitions
from scheduler.rules.job_type.interface import Interface
from scheduler.rules.workflow.supply import ParentResults
from scheduler.store.needs import changes, expansion
from scheduler.store.needs.expansion import ExpandedJob
from scheduler.store.needs.plans import ReleasedJob


def values_of(job: ReleasedJob, parents: Mapping[int, Sequence[ParentResults]]) -> list[JsonValue] | str:
    """Return the values that a job is to be made for, files as their ids; or why that cannot be."""
    each = job.expansion or {}
    place, output = cast("tuple[int, str]", each["from"])
    found: list[JsonValue] = []
    for parent in parents.get(place, ()):
        if each.get("is_file"):
            found += parent.files(output)
            continue
        there, value = parent.value(output)
        if there and not isinstance(value, list):
            return f"for_each goes over a list, and {output!r} is none"
        found += cast("list[JsonValue]", value) if there else []
    limit = cast("int", each["limit"])
    if len(found) > limit:
        return f"for_each makes at most {limit} jobs of it, and {output!r} has {len(found)} values; raise its limit"
    return found


def expand(tx: Connection, job: ReleasedJob, values: Sequence[JsonValue]) -> bool:
    """Make a job these; return whether there are any. All of them are told to the resolver, which releases them next."""
    each = cast("Document", job.expansion)
    if not values:
        if each.get("skip_empty"):
            expansion.close(tx, job.job_id)
        else:
            changes.settle_groups(tx, expansion.empty(tx, job.job_id))
        return False
    ids = [job.job_id, *_ids(cast("list[list[int]]", each.get("ids", [])), len(values) - 1)]
    interface = definitions.read(job.definition).interface
    own = cast("Document", job.overrides.get("environment") or {})
    members = [
        ExpandedJob(job_id, *_given(each, number, value, interface, job.data, own))
        for number, (job_id, value) in enumerate(zip(ids, values, strict=True))
    ]
    expansion.expand(
        tx,
        job.job_id,
        str(each["step"]),
        members,
        position=cast("int", each["position"]),
        max_running=cast("int | None", each.get("max_running")),
    )
    percent = cast("float", each.get("tolerate_percent", 0.0))
    if percent:
        expansion.tolerate(tx, job.job_id, len(values), percent)
    changes.tell(tx, ids)
    return True


def _ids(ranges: Sequence[Sequence[int]], count: int) -> list[JobId]:
    """Return the first ids of those that were kept free."""
    return [JobId(one) for first, last in ranges for one in range(first, last + 1)][:count]


def _given(
    each: Document, number: int, value: JsonValue, interface: Interface, data: JobDataDocument, own: Document
) -> tuple[Document, Document]:
    """Return a member's data and overrides: the value is an input of its type, or stands in its environment."""
    name = str(each["name"])
    declared = next((one for one in interface.inputs if one.name == name), None)
    if declared is None:
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
        return cast("Document", data), {"environment": {**own, "INDEX": str(number), "ITEM": text}}
    entry: DataEntry = {"name": name}
    if declared.type == "property":
        entry["value"] = value
    elif declared.type == "file":
        entry["file_id"] = cast("int", value)
    else:
        entry["file_ids"] = [cast("int", value)]
    entries = [one for one in data.get("input_data", ()) if one["name"] != name]
    return cast("Document", {"version": "1.0", "output_data": [], **data, "input_data": [*entries, entry]}), {}
