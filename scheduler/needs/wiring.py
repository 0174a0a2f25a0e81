"""Wiring of plain jobs: an input that is an output of another job is held against both interfaces when the job is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from scheduler.errors import FaultList, FaultRoom
from scheduler.identifiers import JobId, RevisionId
from scheduler.needs.batch import AskedJob
from scheduler.rules.job_type import definition as definitions
from scheduler.rules.job_type.interface import DeclaredInput, DeclaredOutput, Interface
from scheduler.store.admin import job_types
from scheduler.store.needs import wires
from scheduler.store.needs.wires import WiredParent

_FILES = {"file", "files"}


def misfits(
    tx: Connection,
    batch: Sequence[AskedJob],
    fresh: Sequence[int],
    ids: Sequence[JobId],
    revisions: Sequence[RevisionId],
) -> dict[int, FaultList]:
    """Return what is wrong with the wiring of the fresh jobs of a batch, by their numbers; ids and revisions are in their order.

    Their needs are written already; after a fault the transaction is to be undone.
    """
    wired = [one for one in zip(fresh, ids, revisions, strict=True) if batch[one[0]].wiring]
    if not wired:
        return {}
    parents = {(one.job_id, one.position): one for one in wires.parents(tx, [job_id for _, job_id, _ in wired])}
    wanted = {revision for _, _, revision in wired} | {one.revision_id for one in parents.values()}
    documents = job_types.definitions(tx, sorted(wanted))
    known = {revision: definitions.read(document).interface for revision, document in documents.items()}
    found: dict[int, FaultList] = {}
    room = FaultRoom()
    for number, job_id, revision in wired:
        for name, wire in (batch[number].wiring or {}).items():
            sources = [(parents.get((job_id, place)), output) for place, output in wire.sources]
            sentence = _wrong(name, known[revision], sources, known)
            if sentence is not None:
                found.setdefault(number, FaultList(room)).note(sentence, field=f"inputs.{name}")
    return found


def _wrong(
    name: str,
    interface: Interface,
    sources: Sequence[tuple[WiredParent | None, str]],
    known: Mapping[RevisionId, Interface],
) -> str | None:
    declared = next((one for one in interface.inputs if one.name == name), None)
    if declared is None:
        return f"there is no input {name!r} in the interface"
    for parent, output in sources:
        if parent is not None:
            outputs = known[parent.revision_id].outputs
            made = next((one for one in outputs if one.name == output), None)
            if made is None:
                there = ", ".join(one.name for one in outputs) or "none"
                return f"the job that it is taken of has no output {output!r}; it has {there}"
            if (sentence := _clash(declared, made, is_several=parent.is_several)) is not None:
                return sentence
    return None


def _clash(declared: DeclaredInput, made: DeclaredOutput, *, is_several: bool) -> str | None:
    wants_files = declared.type in _FILES
    if wants_files is not (made.type in _FILES):
        return f"the output {made.name!r} is a {made.type}, and the input takes {'files' if wants_files else 'a value'}"
    if declared.type == "file" and (is_several or made.type == "files"):
        return f"the output {made.name!r} is several files, and the input takes one"
    return None
