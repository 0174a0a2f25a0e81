"""Files: uploads, outputs, downloads."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Response, request
from werkzeug.exceptions import UnsupportedMediaType

from api.http import api_runtime, paging, transfer
from api.http.answers import Answer
from api.http.auth import TokenWatch
from api.http.files import view
from api.http.files.schema import FileList, FilesQuery, FileView, UploadQuery
from api.http.links import public
from api.http.routing import ApiCall, Routes
from api.http.schema import answers, times
from scheduler.errors import InvalidInput
from scheduler.files import files
from scheduler.files.local_storage import PIECE
from scheduler.identifiers import FileId
from scheduler.identity import Role
from scheduler.store.admin import files as stored
from scheduler.store.admin.files import FileFilter

routes = Routes("files")

MOST_FORM = 1024**3
"""The largest form: the web server keeps its file in the temporary folder first. Larger files are sent as the body itself."""

BYTES = {"schema": {"type": "string", "format": "binary"}}
DOWNLOAD = {"content": {"application/octet-stream": BYTES}}
UPLOAD = {
    "required": True,
    "content": {
        "application/octet-stream": BYTES,
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"file": {"type": "string", "format": "binary"}},
                "required": ["file"],
            }
        },
    },
}


@routes.get("/files/", role=Role.VIEWER, answers={200: FileList}, orders=tuple(stored.KEYS))
def list_files(call: ApiCall, query: FilesQuery) -> FileList:
    """Files that can be read, the newest change last."""
    asked = paging.window(query, tuple(stored.KEYS), ["last_modified"])
    started, ended = times.window(query.started, query.ended, call.rt.now())
    chosen = FileFilter(
        started=started,
        ended=ended,
        file_id=tuple(query.file_id),
        file_name=tuple(query.file_name),
        media_type=tuple(query.media_type),
        job_id=tuple(query.job_id),
        workspace=tuple(query.workspace),
        project=tuple(query.project),
        sha256=tuple(query.sha256),
    )
    return paging.envelope(files.page(call.rt, call.caller, chosen, asked), asked, view.entry)


@routes.post("/files/", role=Role.SUBMITTER, request_body=UPLOAD, answers={201: FileView})
def upload_file(call: ApiCall, query: UploadQuery) -> Answer[FileView]:
    """Upload a file: the raw body with `file_name` in the query, or one multipart field named `file`."""
    if query.path is not None:
        return _register(call, query.path, query)
    limit = call.rt.settings.max_upload
    name, media_type, pieces = _multipart(limit) if request.mimetype == "multipart/form-data" else _raw(limit)
    new = _described(query, query.file_name or name, media_type)
    row = files.upload(call.rt, call.caller, new, pieces)
    return Answer(view.entry(row), 201, {"Location": public.url(f"/files/{row.id}/")})


def _register(call: ApiCall, path: str, query: UploadQuery) -> Answer[FileView]:
    """A file that lies in a workspace already."""
    if query.workspace_id is None:
        raise InvalidInput("a path is in a workspace: name its id", field="workspace_id")
    new = _described(query, query.file_name or path.rpartition("/")[2])
    row = files.register(call.rt, call.caller, new, path)
    return Answer(view.entry(row), 201, {"Location": public.url(f"/files/{row.id}/")})


def _described(query: UploadQuery, name: str, media_type: str | None = None) -> files.FileDescription:
    chosen = query.media_type or media_type or "application/octet-stream"
    return files.FileDescription(name, chosen, query.project, query.workspace_id, query.sha256)


@routes.get("/files/<id:file_id>/", role=Role.VIEWER, answers={200: FileView})
def show_file(call: ApiCall, file_id: FileId) -> FileView:
    """One file."""
    return view.entry(files.get(call.rt, call.caller, file_id))


@routes.delete("/files/<id:file_id>/", role=Role.SUBMITTER, answers={204: None})
def delete_file(call: ApiCall, file_id: FileId) -> Answer[None]:
    """Delete a file; refused while a job that has not ended reads it."""
    files.delete(call.rt, call.caller, file_id)
    return Answer(None, 204)


@routes.get(
    "/files/<id:file_id>/content/",
    role=Role.VIEWER,
    answers={200: DOWNLOAD, 206: DOWNLOAD, 304: None, 412: answers.Problem, 416: answers.Problem},
)
def download_file(call: ApiCall, file_id: FileId) -> Response:
    """The content of a file, whole or a range of it."""
    return send(call, file_id)


def send(call: ApiCall, file_id: FileId) -> Response:
    """Return a file as this request asks for it."""
    row = files.get(call.rt, call.caller, file_id)
    return transfer.send(
        row.file_size,
        row.file_name,
        row.media_type,
        row.sha256,
        lambda start, length: files.content(call.rt, call.caller, file_id, start, length),
    )


def _raw(limit: int) -> tuple[str, str | None, Iterable[bytes]]:
    """Return the body itself as the file. Forms and JSON bodies are more likely a mistake than a file."""
    if request.mimetype == "application/x-www-form-urlencoded":
        raise UnsupportedMediaType(
            "send the bytes as application/octet-stream, or multipart/form-data with a field file"
        )
    if "file_name" not in request.args:
        raise InvalidInput("a raw upload needs file_name in the query", field="file_name")
    given = request.mimetype
    return "", given or None, transfer.body_pieces(limit)


def _multipart(limit: int) -> tuple[str, str | None, Iterable[bytes]]:
    watch = TokenWatch(api_runtime.of_this_app().rt)
    transfer.expect_file(min(limit, MOST_FORM))
    request.max_form_parts = 10
    sent = request.files.get("file")
    if sent is None or len(request.files) != 1 or request.form:
        raise InvalidInput("a multipart upload has exactly one part, the file, in the field file", field="file")
    transfer.check_part(sent.headers)
    return sent.filename or "", sent.mimetype or None, watch.over(iter(lambda: sent.stream.read(PIECE), b""))
