"""Content that comes for an upload: as a whole, or as blocks that a list puts together. Who may send it has been settled before.

Everything may come twice, and at once with anything else. What has come is stored beside what is there, and takes its place in
one transaction, so an upload has the old content or the new, and never a part of one. What loses is removed at once; what a process that
died could not remove lies in the folder of the upload's stage, and goes when the upload is over (`scheduler.uploads.sweep`).

    PENDING_UPLOAD    PUT ----------------> content
                      PUT block -> block
                      PUT block -> block
                      PUT block list -----> content, put together and hashed on the way
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from uuid import UUID

from sqlalchemy import Connection

from scheduler.errors import BodyTooLarge, Conflict, InvalidInput, NotFound, ServiceUnavailable
from scheduler.files import storage
from scheduler.files.storage import WorkspaceFile
from scheduler.rules.job_type.awaited import UploadedContent
from scheduler.runtime import Runtime
from scheduler.store.uploads import blocks, uploads
from scheduler.store.uploads.blocks import UploadBlock
from scheduler.store.uploads.uploads import UploadRow

MOST_BLOCKS = 50_000
"""Blocks of one upload; clients that know such blocks send no more."""

MAX_BLOCK_NAME = 256

_ATTEMPTS = 5
"""How often a list is put together anew because its blocks were replaced meanwhile."""


def find(rt: Runtime, uuid: UUID) -> UploadRow | None:
    """Return an upload that takes content, None when there is none of this uuid. Raises Conflict if it takes none any more."""
    with rt.db.begin() as tx:
        row = uploads.find(tx, uuid)
    return None if row is None else _open(row)


def put(rt: Runtime, row: UploadRow, pieces: Iterable[bytes], media_type: str | None) -> None:
    """Store whole content, in place of all that has come before. Raises BodyTooLarge, Conflict, ServiceUnavailable."""
    stored = _write(rt, row, pieces)

    def settle(tx: Connection, locked: UploadRow) -> Sequence[str]:
        before = [*blocks.forget(tx, locked.id), *_path(locked)]
        uploads.set_content(tx, locked.id, stored.path, _content(stored, media_type))
        return before

    _settle(rt, row, stored.path, settle)


def put_block(rt: Runtime, row: UploadRow, name: str, pieces: Iterable[bytes]) -> None:
    """Store one block, in place of one of the same name. Raises InvalidInput, BodyTooLarge, Conflict, ServiceUnavailable."""
    check_block_name(name)
    path = storage.staged_path(row.stage)
    size = storage.write_part(row.workspace_url, path, pieces, rt.settings.workspace_roots)

    def settle(tx: Connection, locked: UploadRow) -> Sequence[str]:
        if locked.stage != row.stage:
            raise Conflict("this upload has begun anew; send the block again")
        replaced = blocks.put(tx, locked.id, UploadBlock(name, size, path, None))
        _check_room(uploads.find(tx, row.uuid) or locked)
        return [] if replaced is None else [replaced]

    _settle(rt, row, path, settle)


def put_list(rt: Runtime, row: UploadRow, names: Sequence[str], media_type: str | None) -> None:
    """Put blocks together in this order; none at all is an empty file. Repeating it changes nothing.

    Raises InvalidInput for a block that is not there, BodyTooLarge, Conflict, ServiceUnavailable.
    """
    for _ in range(_ATTEMPTS):
        with rt.db.begin() as tx:
            row = _open(uploads.find(tx, row.uuid) or row)
            there = blocks.of(tx, row.id)
        starts, size = _starts(names, there)
        if size > row.max_size:
            raise BodyTooLarge(f"the blocks have {size} bytes; {row.max_size} are allowed")
        if _is_done(row, names, there, starts, size):
            return
        try:
            stored = _write(rt, row, _joined(rt, row, [there[name] for name in names]))
        except NotFound:
            continue  # a block was replaced, or became part of the content
        if _took_place(rt, row, stored, there, starts, media_type):
            return
    raise ServiceUnavailable("the blocks of this upload change all the time; send the list again")


def block_names(rt: Runtime, row: UploadRow) -> list[UploadBlock]:
    """Return the blocks that have come, in the order in which they did."""
    with rt.db.begin() as tx:
        return [*blocks.of(tx, row.id).values()]


def check_block_name(name: str) -> None:
    """Raise InvalidInput for what is no name of a block."""
    if not name or len(name) > MAX_BLOCK_NAME or not name.isascii() or not name.isprintable():
        raise InvalidInput(f"a block has a name of 1 to {MAX_BLOCK_NAME} printable characters", field="blockid")


def _open(row: UploadRow) -> UploadRow:
    if not row.is_open:
        raise Conflict(f"the job is {row.job_status or 'gone'}; it awaits this input no longer")
    return row


def _check_room(row: UploadRow) -> None:
    if row.staged_bytes > row.max_size:
        raise BodyTooLarge(f"the blocks have more than the {row.max_size} bytes that are allowed")
    if row.staged_blocks > MOST_BLOCKS:
        raise BodyTooLarge(f"an upload has at most {MOST_BLOCKS} blocks")


def _write(rt: Runtime, row: UploadRow, pieces: Iterable[bytes]) -> WorkspaceFile:
    path = f"{rt.now().strftime('uploads/%Y/%m/%d')}/{secrets.token_hex(16)}"
    return storage.write(row.workspace_url, path, pieces, rt.settings.workspace_roots, stage=row.stage)


def _settle(rt: Runtime, row: UploadRow, path: str, settle: Callable[[Connection, UploadRow], Sequence[str]]) -> None:
    """Let what was stored at a path take its place, and remove what it replaces; whatever fails, remove what was stored."""
    try:
        with rt.db.begin() as tx:
            locked = uploads.lock(tx, row.uuid)
            replaced = settle(tx, _open(locked or row._replace(job_status=None)))
    except BaseException:
        _remove(rt, row, [path])
        raise
    _remove(rt, row, replaced)


def _took_place(
    rt: Runtime,
    row: UploadRow,
    stored: WorkspaceFile,
    there: Mapping[str, UploadBlock],
    starts: Mapping[str, int],
    media_type: str | None,
) -> bool:
    """Let joined blocks be the content; False if the content that some of them are parts of is another one by now."""
    uses_content = any(there[name].path is None for name in starts)
    is_stale = False

    def settle(tx: Connection, locked: UploadRow) -> Sequence[str]:
        nonlocal is_stale
        is_stale = uses_content and locked.path != row.path
        if is_stale:
            return [stored.path]
        blocks.join(tx, locked.id, there, starts)
        uploads.set_content(tx, locked.id, stored.path, _content(stored, media_type))
        return [*(block.path for block in there.values() if block.path is not None), *_path(locked)]

    _settle(rt, row, stored.path, settle)
    return not is_stale


def _starts(names: Sequence[str], there: Mapping[str, UploadBlock]) -> tuple[dict[str, int], int]:
    """Return where each block begins when they stand in this order, and the size of all together."""
    missing = [name for name in names if name not in there]
    if missing:
        more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InvalidInput(f"the list names a block that was not uploaded: {missing[0]!r}{more}", field="blockid")
    starts: dict[str, int] = {}
    size = 0
    for name in names:
        starts.setdefault(name, size)
        size += there[name].size
    return starts, size


def _is_done(
    row: UploadRow, names: Sequence[str], there: Mapping[str, UploadBlock], starts: Mapping[str, int], size: int
) -> bool:
    """Tell whether the content is this list already."""
    in_place = all(there[name].start == start for name, start in starts.items())
    return row.size == size and in_place and len(there) == len(starts) == len(names)


def _joined(rt: Runtime, row: UploadRow, wanted: Iterable[UploadBlock]) -> Iterator[bytes]:
    """Yield the bytes of blocks, one after the other. Raises NotFound for one that is gone by now."""
    roots = rt.settings.workspace_roots
    for block in wanted:
        left = block.size
        path, start = (row.path, block.start or 0) if block.path is None else (block.path, 0)
        if path is None:
            raise NotFound("the content is gone")
        for piece in storage.read(row.workspace_url, path, start, left, roots):
            left -= len(piece)
            yield piece
        if left:
            raise ServiceUnavailable(f"the block {block.name!r} is not whole any more; send it again")


def _content(stored: WorkspaceFile, media_type: str | None) -> UploadedContent:
    return UploadedContent(stored.size, stored.sha256, media_type)


def _path(row: UploadRow) -> list[str]:
    return [] if row.path is None else [row.path]


def _remove(rt: Runtime, row: UploadRow, paths: Iterable[str]) -> None:
    for path in paths:
        storage.remove(row.workspace_url, path, rt.settings.workspace_roots)
