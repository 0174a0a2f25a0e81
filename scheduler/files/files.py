"""Files: uploads of users and outputs of executions. The bytes go to a workspace, the facts to the database."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import Connection

from scheduler.errors import Conflict, Forbidden, GangerError, InvalidInput, NotFound, ServiceUnavailable
from scheduler.files import storage
from scheduler.identifiers import Attempt, ExecutionId, FileId, ProjectId
from scheduler.identity import Caller, Role
from scheduler.jobs.submit import DEFAULT_PROJECT
from scheduler.lookup import repeats
from scheduler.runtime import Runtime
from scheduler.store import paging
from scheduler.store.admin import files, workspaces
from scheduler.store.admin.files import FileFilter, FileRow, NewFile, WritingExecution
from scheduler.store.admin.workspaces import Workspace
from scheduler.store.data_sets import versions
from scheduler.store.jobs import submissions
from scheduler.store.jobs.submissions import Project
from scheduler.store.lookup import unanswered
from scheduler.store.paging import PageWindow, RowPage

MAX_NAME = 255
_BAD_NAME = re.compile(r"[/\x00-\x1f\x7f\u0080-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_MEDIA_TYPE = re.compile(r"[a-zA-Z0-9!#$&^_.+-]{1,64}/[a-zA-Z0-9!#$&^_.+-]{1,64}(?:\s*;\s*[\x20-\x7e]{1,100})?\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class FileContent:
    """A part of a file: the position of its first byte, its length in bytes, and the pieces. `row` is the file's row."""

    row: FileRow
    start: int
    length: int
    pieces: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class FileDescription:
    """A file that somebody adds: its name and media type, its project and workspace (None: the default), its expected digest."""

    file_name: str
    media_type: str = "application/octet-stream"
    project: str | None = None
    workspace_id: int | None = None
    sha256: str | None = None
    mark: str | None = None
    """By whom and how it is sent, where a client may send it again: see `scheduler.lookup.repeats`. The content is added to it."""


@dataclass(frozen=True, slots=True)
class NewOutput:
    """An output file of one attempt, with what its node says about it."""

    execution_id: ExecutionId
    attempt: Attempt
    token: str
    output: str
    file_name: str
    media_type: str
    sha256: str | None = None


def upload(rt: Runtime, caller: Caller, new: FileDescription, pieces: Iterable[bytes]) -> FileRow:
    """Store a file and return its row. Raises InvalidInput if `new.sha256` is given and the content has another digest.

    With a `mark` the file of the first time is returned where the same comes again.
    """
    owner, workspace = _destination(rt, caller, new)
    stored = _stored(rt, workspace, rt.now().strftime("uploads/%Y/%m/%d"), pieces, new.sha256)
    digest = None if new.mark is None else f"{new.mark} {stored.sha256}"
    earlier = None if digest is None else repeats.earlier_file(rt, owner.id, digest)
    if earlier is not None:
        storage.remove(workspace.url, stored.path, rt.settings.workspace_roots)
        return get(rt, caller, earlier)
    return _insert(rt, _new_file(stored, workspace, owner.id, new.file_name, new.media_type), digest)


def register(rt: Runtime, caller: Caller, new: FileDescription, path: str) -> FileRow:
    """Register content that is at `path` in a workspace already as a file, and return its row. It is read once, for its digest.

    Raises NotFound, InvalidInput, and Forbidden unless the caller has the role that the workspace asks for. To delete the
    file later leaves the content where it is.
    """
    owner, workspace = _destination(rt, caller, new)
    needed = Role[workspace.register_role.upper()]
    if caller.role is None or caller.role < needed:
        raise Forbidden(
            f"to register what lies in the workspace {workspace.name!r} needs the role {needed.name.lower()}"
        )
    if storage.is_ours(path):
        raise Forbidden("uploads and outputs are files already, each of its own project", field="path")
    found = storage.measured(workspace.url, path, rt.settings.workspace_roots, rt.settings.max_upload)
    if new.sha256 is not None and found.sha256 != new.sha256:
        raise InvalidInput(f"what lies there has another sha256: {found.sha256}", field="sha256")
    return _insert(rt, _new_file(found, workspace, owner.id, new.file_name, new.media_type))


def add_output(rt: Runtime, caller: Caller, new: NewOutput, pieces: Iterable[bytes]) -> FileId:
    """Store an output of a running attempt and return the file's id. The file is invisible until the report is accepted.

    Safe to repeat: an output and a file name of one attempt are one file. Raises Conflict if the attempt is not the live
    one, or if the token is not the one of its claim.
    A node adds to executions of its own alone.
    """
    check_name(new.file_name)
    check_media_type(new.media_type)
    with rt.db.begin() as tx:
        execution = live(tx, caller, new)
        there = files.output(tx, new.execution_id, new.output, new.file_name)
        workspace = place_of(tx, execution, new.output)
    if there is not None and (new.sha256 is None or there.sha256 == new.sha256):
        return there.id
    stored = _stored(rt, workspace, f"outputs/{new.execution_id % 1000:03}/{new.execution_id}", pieces, new.sha256)
    file = replace(
        _new_file(stored, workspace, execution.project_id, new.file_name, new.media_type),
        job_id=execution.job_id,
        execution_id=new.execution_id,
        output=new.output,
        is_published=False,
    )
    with rt.db.begin() as tx:
        file_id = files.insert(tx, file)
        there = files.output(tx, new.execution_id, new.output, new.file_name)
    assert there is not None  # noqa: S101 - inserted now, or before by a repeat of this
    if file_id is None:
        storage.remove(workspace.url, stored.path, rt.settings.workspace_roots)
        if there.sha256 != stored.sha256:
            raise Conflict("this output of this attempt is there already, with other content")
    return there.id


def get(rt: Runtime, caller: Caller, file_id: FileId) -> FileRow:
    """Return a file's row; raises NotFound."""
    with rt.db.begin() as tx:
        return _get(tx, FileFilter(file_id=(file_id,), project_id=caller.project_id), file_id)


def page(rt: Runtime, caller: Caller, chosen: FileFilter, window: PageWindow) -> RowPage[FileRow]:
    """Return one page of files."""
    with rt.db.begin() as tx:
        bound = chosen if caller.project_id is None else replace(chosen, project_id=caller.project_id)
        return paging.read(tx, files.FILES, files.condition(bound), window)


def content(rt: Runtime, caller: Caller, file_id: FileId, start: int = 0, length: int | None = None) -> FileContent:
    """Return the bytes of a file from `start` on; raises NotFound. A node may read every file."""
    row = get(rt, caller, file_id)
    return opened(rt, row, start, max(0, row.file_size - start) if length is None else length)


def by_uuid(rt: Runtime, uuid: UUID) -> FileRow:
    """Return a file's row, whoever asks: who may was settled when the link to it was made. Raises NotFound."""
    with rt.db.begin() as tx:
        return _get(tx, FileFilter(uuid=uuid), uuid)


def opened(rt: Runtime, row: FileRow, start: int, length: int) -> FileContent:
    """Return `length` bytes of a file from `start` on; raises NotFound."""
    pieces = storage.read(row.workspace_url, row.path, start, length, rt.settings.workspace_roots)
    return FileContent(row, start, length, pieces)


def delete(rt: Runtime, caller: Caller, file_id: FileId) -> None:
    """Delete the content of a file and hide the file; raises NotFound, or Conflict while a job that has not ended needs it."""
    with rt.db.begin() as tx:
        row = _get(tx, FileFilter(file_id=(file_id,), project_id=caller.project_id), file_id)
        _check_unused(tx, file_id)
        files.delete(tx, file_id)
    storage.remove(row.workspace_url, row.path, rt.settings.workspace_roots)


def replace_content(
    rt: Runtime, caller: Caller, file_id: FileId, new: FileDescription, pieces: Iterable[bytes]
) -> FileRow:
    """Give an upload another content, name and media type, and return its row; its id stays, and jobs that ended keep pointing to it.

    Raises NotFound; Conflict while a job that has not ended needs it, and for outputs of jobs, which tell what was made.
    """
    owner, workspace = _destination(rt, caller, new)
    row = _replaceable(rt, caller, file_id)
    stored = _stored(rt, workspace, rt.now().strftime("uploads/%Y/%m/%d"), pieces, new.sha256)
    try:
        file = _new_file(stored, workspace, owner.id, new.file_name, new.media_type)
        with rt.db.begin() as tx:
            _check_unused(tx, file_id)
            if not files.replace(tx, file_id, row.path, file):
                raise Conflict(f"file {file_id} was changed by somebody else meanwhile: say it again")
            made = _get(tx, FileFilter(file_id=(file_id,)), file_id)
    except GangerError:
        storage.remove(workspace.url, stored.path, rt.settings.workspace_roots)
        raise
    storage.remove(row.workspace_url, row.path, rt.settings.workspace_roots)
    return made


def _replaceable(rt: Runtime, caller: Caller, file_id: FileId) -> FileRow:
    """Return the row of a file that may get another content, before that is read."""
    with rt.db.begin() as tx:
        row = _get(tx, FileFilter(file_id=(file_id,), project_id=caller.project_id), file_id)
        if row.job_id is not None:
            raise Conflict(f"job {row.job_id} made this file, and its content stays: upload another one")
        _check_unused(tx, file_id)
    return row


def _check_unused(tx: Connection, file_id: FileId) -> None:
    """Raise Conflict for a file that something still needs as it is."""
    needed = files.needed_by(tx, file_id)
    if needed is not None:
        raise Conflict(f"job {needed} has not ended and reads this file")
    if versions.keeper(tx, file_id) is not None:
        raise Conflict("versions of a data set hold this file")


def check_name(name: str) -> None:
    """Raise InvalidInput for a file name that some folders cannot hold."""
    if not name or len(name.encode("utf-8", "replace")) > MAX_NAME or name in {".", ".."} or _BAD_NAME.search(name):
        raise InvalidInput("a file name has 1 to 255 bytes, no slash and no control character", field="file_name")


def check_media_type(media_type: str) -> None:
    """Raise InvalidInput for a text that is not a media type."""
    if not _MEDIA_TYPE.match(media_type):
        raise InvalidInput(f"{media_type[:60]!r} is not a media type such as text/csv", field="media_type")


def live(tx: Connection, caller: Caller, new: NewOutput) -> WritingExecution:
    """Return the attempt that an output belongs to.

    Raises NotFound, also for another node's; Conflict if it is not live, or for another token.
    """
    execution = files.execution(tx, new.execution_id)
    if execution is None or caller.node_id not in {None, execution.node_id}:
        raise NotFound(f"there is no execution {new.execution_id}")
    if (
        execution.released
        or execution.attempt != new.attempt
        or execution.claim_token is None  # nobody has claimed it, so nobody makes outputs for it
        or not hmac.compare_digest(execution.claim_token.encode(), new.token.encode())
    ):
        raise Conflict("this attempt is not running any more")
    return execution


def place_of(tx: Connection, execution: WritingExecution, output: str) -> Workspace:
    """Return the workspace that an output goes to. Raises InvalidInput, ServiceUnavailable."""
    wanted = (entry["workspace_id"] for entry in execution.data.get("output_data", ()) if entry["name"] == output)
    return _workspace(tx, next(wanted, None), execution.project_id)


def _get(tx: Connection, chosen: FileFilter, file_id: FileId | UUID) -> FileRow:
    rows = paging.read(tx, files.FILES, files.condition(chosen), PageWindow(1, 1, ())).rows
    if not rows:
        raise NotFound(f"there is no file {file_id}")
    return rows[0]


def _insert(rt: Runtime, new: NewFile, digest: str | None = None) -> FileRow:
    with rt.db.begin() as tx:
        file_id = files.insert(tx, new)
        assert file_id is not None  # noqa: S101 - only outputs can meet one that is there
        if digest is not None:
            unanswered.write(tx, "file", file_id, digest)
        return _get(tx, FileFilter(file_id=(file_id,)), file_id)


def _destination(rt: Runtime, caller: Caller, new: FileDescription) -> tuple[Project, Workspace]:
    """Return the project and the workspace of a new file. Raises InvalidInput, Forbidden, ServiceUnavailable."""
    check_name(new.file_name)
    check_media_type(new.media_type)
    name = new.project or caller.project or DEFAULT_PROJECT
    if caller.project is not None and name != caller.project:
        raise Forbidden("the token is bound to another project", field="project")
    with rt.db.begin() as tx:
        owner = submissions.project(tx, name)
        if owner is None:
            raise InvalidInput(f"there is no project {name!r}", field="project")
        return owner, _workspace(tx, new.workspace_id, owner.id)


def _workspace(tx: Connection, workspace_id: int | None, project_id: ProjectId) -> Workspace:
    found = workspaces.default(tx) if workspace_id is None else workspaces.find(tx, workspace_id)
    if found is None and workspace_id is None:
        raise ServiceUnavailable("there is no default workspace")
    if found is None or not found.is_active or not found.serves(project_id):
        raise InvalidInput(f"there is no active workspace {workspace_id}", field="workspace_id")
    return found


def _stored(
    rt: Runtime, workspace: Workspace, under: str, pieces: Iterable[bytes], sha256: str | None
) -> storage.WorkspaceFile:
    if sha256 is not None and not _SHA256.match(sha256):
        raise InvalidInput("a sha256 has 64 hexadecimal digits in lower case", field="sha256")
    roots = rt.settings.workspace_roots
    stored = storage.write(workspace.url, f"{under}/{secrets.token_hex(16)}", pieces, roots)
    if sha256 is not None and stored.sha256 != sha256:
        storage.remove(workspace.url, stored.path, roots)
        raise InvalidInput(f"the content that arrived has another sha256: {stored.sha256}", field="sha256")
    return stored


def _new_file(
    stored: storage.WorkspaceFile, workspace: Workspace, project_id: ProjectId, file_name: str, media_type: str
) -> NewFile:
    return NewFile(project_id, workspace.id, file_name, media_type, stored.size, stored.sha256, stored.path)
