"""Inputs of a new job that are outputs of others: `{"from": {"job": 41, "output": "n"}, "default": 10}` in place of a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from api.http.jobs.needs_schema import NeededJob
from api.http.schema.fields import Id, Word
from scheduler.errors import FaultList
from scheduler.jobs.new_job import NewJob
from scheduler.needs.new_needs import NewNeed, NewWire

_JOB: TypeAdapter[int | str] = TypeAdapter(NeededJob)
_GROUP: TypeAdapter[int | str] = TypeAdapter(Id | Word)


def wired(job: NewJob) -> NewJob:
    """Return a job with its wiring apart from its inputs; what is wired is needed, whether `needs` says so or not.

    Raises InvalidInput naming each input at fault.
    """
    given = job.inputs or {}
    wires = {name: value for name, value in given.items() if isinstance(value, dict) and _is_wire(value)}
    if not wires:
        return job
    needs, faults = list(job.needs or ()), FaultList()
    wiring = {name: _wire(name, value, needs, faults) for name, value in wires.items()}
    faults.raise_all()
    left = {name: value for name, value in given.items() if name not in wires}
    return replace(job, inputs=left or None, needs=needs, wiring=wiring)


def _is_wire(value: Mapping[str, Any]) -> bool:
    """Tell whether a value is a wire: an object that has `from` and nothing else but `default`."""
    return (
        {"from"} <= value.keys() <= {"from", "default"}
        and isinstance(value["from"], dict)
        and "output" in value["from"]
    )


def _wire(name: str, value: Mapping[str, Any], needs: list[NewNeed], faults: FaultList) -> NewWire:
    source, where = value["from"], f"inputs.{name}.from"
    output = source["output"]
    if not isinstance(output, str) or not output:
        faults.note("it is the name of an output", field=f"{where}.output")
    kinds = sorted(source.keys() - {"output"})
    if len(kinds) != 1 or kinds[0] not in {"job", "group"}:
        faults.note("it has output, and one of job and group", field=where)
        return NewWire(())
    kind = kinds[0]
    try:
        parent = (_JOB if kind == "job" else _GROUP).validate_python(source[kind], strict=True)
    except ValidationError:
        words = 'a job\'s id, "@3" or "=key"' if kind == "job" else "a group's id or name"
        faults.note(f"it is {words}", field=f"{where}.{kind}")
        return NewWire(())
    place = next((n for n, one in enumerate(needs) if getattr(one, kind) == parent and not one.pairwise), None)
    if place is None:
        place = len(needs)
        named = NewNeed(job=parent) if kind == "job" else NewNeed(group=parent)
        needs.append(replace(named, said_at=where))
    needs[place] = replace(needs[place], wires=True)
    return NewWire(((place, str(output)),), value.get("default"), "default" in value)
