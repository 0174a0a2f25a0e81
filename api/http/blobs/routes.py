"""Content that moves by signed links: one address for uploads on their way in and files on their way out, without tokens.

The address is that of an upload until its job has it, and of the file that it becomes from then on. Who may send or get it was settled when the
link was made (`api.http.links.blobs`). Clients of block storage find what they know: whole PUTs, blocks, a list of blocks.
"""

from __future__ import annotations

from functools import partial
from uuid import UUID

from flask import Response, request
from werkzeug.exceptions import LengthRequired

from api.http import transfer
from api.http.answers import Answer, respond
from api.http.blobs import block_list
from api.http.blobs.schema import PutQuery, ReadQuery, UploadState
from api.http.links import signed
from api.http.routing import ApiCall, Routes
from api.http.schema import answers
from scheduler.errors import BodyTooLarge, Forbidden, InvalidInput, NotFound
from scheduler.files import files
from scheduler.rules.job_type import awaited
from scheduler.store.uploads.uploads import UploadRow
from scheduler.uploads import content

routes = Routes("blobs")

BYTES = {"schema": {"type": "string", "format": "binary"}}
DOWNLOAD = {"content": {"application/octet-stream": BYTES}}
STATE = {
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/UploadState"}}, **DOWNLOAD["content"]}
}
SENT = {"required": True, "content": {"application/octet-stream": BYTES}}
FAILED = {403: answers.Problem, 409: answers.Problem, 411: answers.Problem}


@routes.put("/blobs/<blob>", role="public", any_query=True, request_body=SENT, answers={201: None, **FAILED})
def put_blob(call: ApiCall, blob: str, query: PutQuery) -> Answer[None]:
    """Send the content of an upload, whole or as blocks and the list of them; any of it may be repeated."""
    signed.check(call.rt, signed.WRITE)
    row = _upload(call, blob)
    _check_body()
    if query.comp == "block":
        _put_block(call, row, _block_name(query))
    elif query.comp == "blocklist":
        _put_list(call, row)
    else:
        media_type = awaited.said(request.headers.get("Content-Type", ""))
        content.put(call.rt, row, transfer.body_pieces(row.max_size), media_type)
    return Answer(None, 201)


@routes.get(
    "/blobs/<blob>",
    role="public",
    any_query=True,
    answers={200: STATE, 206: DOWNLOAD, 304: None, 403: answers.Problem, 412: answers.Problem, 416: answers.Problem},
)
def read_blob(call: ApiCall, blob: str, query: ReadQuery) -> Response:
    """A file, whole or a range of it; or, by a link to send it to, what has come of an upload so far."""
    if query.comp == "blocklist":
        signed.check(call.rt, signed.WRITE)
        return respond(_state(call, _upload(call, blob)))
    signed.check(call.rt, signed.READ)
    row = files.by_uuid(call.rt, _uuid(blob))
    read = partial(files.opened, call.rt, row)
    return transfer.send(row.file_size, row.file_name, row.media_type, row.sha256, read)


def _put_block(call: ApiCall, row: UploadRow, name: str) -> None:
    content.check_block_name(name)
    content.put_block(call.rt, row, name, transfer.body_pieces(row.max_size))


def _put_list(call: ApiCall, row: UploadRow) -> None:
    if (request.content_length or 0) > block_list.MAX_BYTES:
        raise BodyTooLarge(f"a block list has at most {block_list.MAX_BYTES} bytes")
    request.max_content_length = block_list.MAX_BYTES
    names = block_list.read(request.get_data(cache=False))
    media_type = awaited.said(request.headers.get("X-Ms-Blob-Content-Type", ""))
    with transfer.long_work():
        content.put_list(call.rt, row, names, media_type)


def _block_name(query: PutQuery) -> str:
    if not query.blockid:
        raise InvalidInput("a block needs a name", field="blockid")
    return query.blockid.replace(" ", "+")  # base64 that a client did not quote


def _check_body() -> None:
    """Refuse what is no content as it is: a part of one, or a body of which nobody says where it ends."""
    if "Content-Range" in request.headers:
        raise InvalidInput(
            "a part is sent as a block, comp=block&blockid=..., not by Content-Range", field="Content-Range"
        )
    if request.content_length is None and "chunked" not in request.headers.get("Transfer-Encoding", "").lower():
        raise LengthRequired("say with Content-Length how many bytes come")


def _upload(call: ApiCall, blob: str) -> UploadRow:
    row = content.find(call.rt, _uuid(blob))
    if row is None:
        raise NotFound("there is no such upload")
    return row


def _uuid(blob: str) -> UUID:
    try:
        return UUID(blob)
    except ValueError:
        raise Forbidden("this link is not one of ours") from None


def _state(call: ApiCall, row: UploadRow) -> UploadState:
    return {
        "blocks": [{"id": block.name, "size": block.size} for block in content.block_names(call.rt, row)],
        "max_size": row.max_size,
        "size": row.size,
        "sha256": row.digest,
        "received": row.received,
    }
