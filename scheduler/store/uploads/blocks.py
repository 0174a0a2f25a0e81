"""Blocks: the pieces that an upload comes in, each by the name that its client gave it.

A block lies in a file of its own until a list of blocks made it a part of the whole content. From then on it is known by
where it begins there, so that the same list, sent once more, finds it. All is written under the upload's row lock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.store import records


class UploadBlock(NamedTuple):
    """One block: its name, its size in bytes, and its file, or where it begins in the whole content."""

    name: str
    size: int
    path: str | None
    start: int | None


_OF = text("SELECT name, size, path, start FROM upload_blocks WHERE upload_id = :id ORDER BY at, name")

_PUT = text("""
    WITH before AS (
        SELECT path, size FROM upload_blocks WHERE upload_id = :id AND name = :name
    ), put AS (
        INSERT INTO upload_blocks (upload_id, name, size, path)
        VALUES (:id, :name, :size, :path)
        ON CONFLICT (upload_id, name) DO UPDATE SET size = EXCLUDED.size, path = EXCLUDED.path, start = NULL, at = now()
    ), counted AS (
        UPDATE uploads
        SET staged_bytes = staged_bytes + :size - COALESCE((SELECT size FROM before WHERE path IS NOT NULL), 0),
            staged_blocks = staged_blocks + CASE WHEN EXISTS (SELECT FROM before) THEN 0 ELSE 1 END, cleared = NULL
        WHERE id = :id
    )
    SELECT path FROM before
""")

_GONE = text(
    "DELETE FROM upload_blocks WHERE upload_id = :id AND (path = ANY(:paths) OR (path IS NULL AND name = ANY(:names)))"
)

_JOIN = text("""
    UPDATE upload_blocks b
    SET path = NULL, start = v.start
    FROM unnest(CAST(:names AS text[]), CAST(:starts AS bigint[]), CAST(:paths AS text[])) AS v (name, start, path)
    WHERE b.upload_id = :id AND b.name = v.name AND b.path IS NOT DISTINCT FROM v.path
""")

_COUNT = text("""
    UPDATE uploads
    SET (staged_blocks, staged_bytes) = (
        SELECT count(*), COALESCE(sum(size) FILTER (WHERE path IS NOT NULL), 0) FROM upload_blocks WHERE upload_id = :id)
    WHERE id = :id
""")


def of(tx: Connection, upload_id: int) -> dict[str, UploadBlock]:
    """Return the blocks of an upload by name, in the order in which they came."""
    return {one.name: one for one in records.read_all(UploadBlock, tx.execute(_OF, {"id": upload_id}))}


def put(tx: Connection, upload_id: int, block: UploadBlock) -> str | None:
    """Note a block in place of one of the same name, and return the path of that one's file, if it had one."""
    parameters = {"id": upload_id, "name": block.name, "size": block.size, "path": block.path}
    return tx.execute(_PUT, parameters).scalar()


def join(tx: Connection, upload_id: int, before: Mapping[str, UploadBlock], starts: Mapping[str, int]) -> None:
    """Note that blocks have become parts of the whole content, which begin at `starts` there; the others of `before` are gone.

    Blocks that came since `before` was read stay.
    """
    over = [block for block in before.values() if block.name not in starts]
    paths = [block.path for block in over if block.path is not None]
    names = [block.name for block in over if block.path is None]
    tx.execute(_GONE, {"id": upload_id, "paths": paths, "names": names})
    joined = [before[name] for name in starts]
    parameters = {
        "id": upload_id,
        "names": [block.name for block in joined],
        "starts": [starts[block.name] for block in joined],
        "paths": [block.path for block in joined],
    }
    tx.execute(_JOIN, parameters)
    tx.execute(_COUNT, {"id": upload_id})


def forget(tx: Connection, upload_id: int) -> Sequence[str]:
    """Forget every block of an upload, and return the paths of their files."""
    before = of(tx, upload_id)
    join(tx, upload_id, before, {})
    return [block.path for block in before.values() if block.path is not None]
