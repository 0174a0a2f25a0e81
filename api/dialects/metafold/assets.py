"""Assets: the files of a project, uploads and outputs of jobs. Of several with one name the newest counts."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from dataclasses import replace

from flask import Response

from api.dialects import repeated
from api.dialects.metafold import dates, replies, search, view
from api.dialects.metafold.ids import number
from api.dialects.metafold.schema import AssetLink, AssetQuery, MetafoldAsset, MetafoldQuery
from api.http import multipart, transfer
from api.http.answers import Answer
from api.http.links import signed
from api.http.routing import ApiCall, Routes
from scheduler.errors import InvalidInput
from scheduler.files import files as contents
from scheduler.files.files import FileDescription
from scheduler.identifiers import FileId
from scheduler.identity import Role
from scheduler.lookup import repeats
from scheduler.search import files, projects
from scheduler.store.admin.file_summaries import TABLE, FileSummary

routes = Routes("metafold assets")

CONTENT = "/content"
"""The end of the addresses of contents, which signed links lead to."""

LINK_S = 3600.0
"""How long the link to a content is good: these clients fetch it at once, and their makers speak of an hour."""

UPLOAD = {"required": True, "content": {"multipart/form-data": {"schema": {"type": "object"}}}}


@routes.get("/projects/<project>/assets", role=Role.VIEWER, any_query=True)
def list_assets(call: ApiCall, project: str, query: MetafoldQuery) -> Response:
    """Every file of a project."""
    row = projects.one(call.rt, call.caller, project)
    terms, order = search.conditions(query.q, TABLE.texts), search.order(query.sort, TABLE.orders)
    date = dates.form()
    return replies.every(view.asset(one, date) for one in files.find(call.rt, row.id, terms, order))


@routes.post("/projects/<project>/assets", role=Role.SUBMITTER, request_body=UPLOAD, any_query=True)
def upload_asset(call: ApiCall, project: str) -> Answer[MetafoldAsset]:
    """Upload a file: a form with one part, the file, in the field `file`."""
    row = projects.one(call.rt, call.caller, project)
    new, pieces = _sent(call, row.name)
    mark = repeated.sent(call, new.file_name, new.media_type)
    made = contents.upload(call.rt, call.caller, replace(new, mark=mark), pieces)
    repeated.note_of(call, "file", made.id)
    return replies.one(view.asset(files.one(call.rt, row.id, made.id), dates.form()), 201)


@routes.get("/projects/<project>/assets/<asset>", role=Role.VIEWER, any_query=True)
def show_asset(call: ApiCall, project: str, asset: str, query: AssetQuery) -> Answer[MetafoldAsset | AssetLink]:
    """One file; with `download=true` with a link to its content, which needs no token and is good for an hour."""
    row = _file(call, project, asset)
    repeats.known(call.rt, "file", row.id)
    shown = view.asset(row, dates.form())
    if query.download.lower() not in {"true", "1"}:
        return replies.one(shown)
    address = signed.link(
        call.rt, signed.READ, f"/projects/{row.project_id}/assets/{row.id}{CONTENT}", good_for_s=LINK_S
    )
    linked: AssetLink = {**shown, "link": address}
    return replies.one(linked)


@routes.patch("/projects/<project>/assets/<asset>", role=Role.SUBMITTER, request_body=UPLOAD, any_query=True)
def replace_asset(call: ApiCall, project: str, asset: str) -> Answer[MetafoldAsset]:
    """Give a file another content and name, by the form of an upload; refused for what a job made, or one that has not ended reads."""
    row, owner = _file(call, project, asset), projects.one(call.rt, call.caller, project)
    new, pieces = _sent(call, owner.name)
    contents.replace_content(call.rt, call.caller, row.id, new, pieces)
    return show_asset(call, project, asset, AssetQuery())


@routes.get(f"/projects/<id:project>/assets/<id:asset>{CONTENT}", role="public", any_query=True)
def download_asset(call: ApiCall, project: int, asset: int) -> Response:  # noqa: ARG001 - it is in the signature
    """The content of a file, by a signed link alone."""
    signed.check(call.rt, signed.READ)
    row = contents.get(call.rt, call.caller, FileId(asset))
    return transfer.send(
        row.file_size,
        row.file_name,
        row.media_type,
        row.sha256,
        lambda start, length: contents.content(call.rt, call.caller, row.id, start, length),
    )


@routes.delete("/projects/<project>/assets/<asset>", role=Role.SUBMITTER, any_query=True)
def delete_asset(call: ApiCall, project: str, asset: str) -> Answer[None]:
    """Delete a file; refused while a job that has not ended reads it."""
    contents.delete(call.rt, call.caller, _file(call, project, asset).id)
    return Answer(None, 204)


def _sent(call: ApiCall, project: str) -> tuple[FileDescription, Iterator[bytes]]:
    """Return what the form of a request sends: the file, and its bytes as they come."""
    sent = multipart.one_file("file", call.rt.settings.max_upload)
    if not sent.file_name:
        raise InvalidInput("the part needs a file name", field="file")
    kind = sent.media_type or mimetypes.guess_type(sent.file_name)[0] or "application/octet-stream"
    return FileDescription(sent.file_name, kind, project), sent.pieces


def _file(call: ApiCall, project: str, asset: str) -> FileSummary:
    row = projects.one(call.rt, call.caller, project)
    return files.one(call.rt, row.id, FileId(number(asset, "asset")))
