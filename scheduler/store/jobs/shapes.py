"""Shapes are interned: one row per distinct combination of requirements, never changed, never deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from operator import attrgetter

import orjson
from sqlalchemy import Connection, text

from scheduler.documents import ConstraintDocument, ShapeOptions
from scheduler.identifiers import JobTypeId, ProjectId, ShapeId
from scheduler.store import arrays
from scheduler.store.schema.tables import shapes


@dataclass(frozen=True, slots=True)
class NewShape:
    """The requirements of a group of jobs; amounts in thousandths, `custom` by name, constraints as documents."""

    project_id: ProjectId
    job_type_id: JobTypeId
    priority: int
    cpus: int
    mem: int
    disk: int
    pool: str | None = None
    custom: dict[str, int] = field(default_factory=dict)
    constraints: list[ConstraintDocument] = field(default_factory=list)
    options: ShapeOptions = field(default_factory=lambda: ShapeOptions())  # noqa: PLW0108

    def digest(self) -> bytes:
        """Return what two equal shapes have in common, whatever order their parts were written in."""
        return hashlib.sha256(orjson.dumps(_PARTS(self), option=orjson.OPT_SORT_KEYS)).digest()


_FIELDS = tuple(each.name for each in fields(NewShape))
_PARTS = attrgetter(*_FIELDS)
# Digests are in the database: a field that comes later goes into `options`, where shapes without it stay what they are.


_INSERT = text(f"""
    INSERT INTO shapes (digest, {", ".join(_FIELDS)})
    SELECT * FROM {arrays.unnest(shapes, ("digest", *_FIELDS))}
    ON CONFLICT (digest) DO NOTHING
    RETURNING digest, id
""")  # noqa: S608 - the only text put in is the list of columns above

_FIND = text("SELECT digest, id FROM shapes WHERE digest = ANY(:digests)")


def intern(tx: Connection, wanted: Sequence[NewShape]) -> dict[bytes, ShapeId]:
    """Return the ids of these shapes by digest, making those that are new. Digests are asked for in order."""
    by_digest = _sorted(wanted)
    found = _find(tx, list(by_digest))
    missing = {digest: shape for digest, shape in by_digest.items() if digest not in found}
    if missing:
        parameters = {"digest": list(missing), **arrays.parameters(shapes, _FIELDS, list(missing.values()))}
        found |= {bytes(row.digest): row.id for row in tx.execute(_INSERT, parameters)}
        raced = [digest for digest in missing if digest not in found]
        if raced:  # another transaction made them; its commit is what ON CONFLICT waited for
            found |= _find(tx, raced)
    return found


def _sorted(wanted: Sequence[NewShape]) -> dict[bytes, NewShape]:
    """Equal order everywhere: two transactions that intern the same shapes cannot wait for each other."""
    return dict(sorted(((shape.digest(), shape) for shape in wanted), key=lambda pair: pair[0]))


def _find(tx: Connection, digests: list[bytes]) -> dict[bytes, ShapeId]:
    return {bytes(row.digest): row.id for row in tx.execute(_FIND, {"digests": digests})}
