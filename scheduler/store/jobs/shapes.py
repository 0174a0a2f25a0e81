"""Shapes are interned: one row per distinct combination of requirements, never changed, never deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson
from sqlalchemy import Connection, text

from scheduler.documents import ConstraintDocument, ShapeOptions
from scheduler.identifiers import JobTypeId, ProjectId, ShapeId


@dataclass(frozen=True, slots=True)
class NewShape:
    """What a group of jobs asks for; amounts in thousandths, `custom` by name, constraints as documents."""

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
        parts = [
            self.project_id, self.job_type_id, self.priority, self.cpus, self.mem, self.disk, self.pool,
            self.custom, self.constraints, self.options,
        ]  # fmt: skip
        return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).digest()


_INSERT = text("""
    INSERT INTO shapes (digest, project_id, job_type_id, priority, cpus, mem, disk, pool, custom, constraints, options)
    SELECT * FROM unnest(
        CAST(:digests AS bytea[]), CAST(:projects AS bigint[]), CAST(:types AS bigint[]), CAST(:priorities AS int[]),
        CAST(:cpus AS bigint[]), CAST(:mem AS bigint[]), CAST(:disk AS bigint[]), CAST(:pools AS text[]),
        CAST(:custom AS jsonb[]), CAST(:constraints AS jsonb[]), CAST(:options AS jsonb[]))
    ON CONFLICT (digest) DO NOTHING
    RETURNING digest, id
""")

_FIND = text("SELECT digest, id FROM shapes WHERE digest = ANY(:digests)")


def intern(tx: Connection, wanted: Sequence[NewShape]) -> dict[bytes, ShapeId]:
    """Return the ids of these shapes by digest, making those that are new. Digests are asked for in order."""
    by_digest = _sorted(wanted)
    found = _find(tx, list(by_digest))
    missing = {digest: shape for digest, shape in by_digest.items() if digest not in found}
    if missing:
        found |= {bytes(row.digest): row.id for row in tx.execute(_INSERT, _columns(missing))}
        raced = [digest for digest in missing if digest not in found]
        if raced:  # another transaction made them; its commit is what ON CONFLICT waited for
            found |= _find(tx, raced)
    return found


def _sorted(wanted: Sequence[NewShape]) -> dict[bytes, NewShape]:
    """Equal order everywhere: two transactions that intern the same shapes cannot wait for each other."""
    return dict(sorted(((shape.digest(), shape) for shape in wanted), key=lambda pair: pair[0]))


def _find(tx: Connection, digests: list[bytes]) -> dict[bytes, ShapeId]:
    return {bytes(row.digest): row.id for row in tx.execute(_FIND, {"digests": digests})}


def _columns(shapes: dict[bytes, NewShape]) -> dict[str, object]:
    rows = list(shapes.values())
    return {
        "digests": list(shapes),
        "projects": [row.project_id for row in rows],
        "types": [row.job_type_id for row in rows],
        "priorities": [row.priority for row in rows],
        "cpus": [row.cpus for row in rows],
        "mem": [row.mem for row in rows],
        "disk": [row.disk for row in rows],
        "pools": [row.pool for row in rows],
        "custom": [orjson.dumps(row.custom).decode() for row in rows],
        "constraints": [orjson.dumps(row.constraints).decode() for row in rows],
        "options": [orjson.dumps(row.options).decode() for row in rows],
    }
