"""Task specs: the revision of the job type, the job's own settings and its data become all that a node needs to run it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import cast

from sqlalchemy import Connection

from scheduler import wire
from scheduler.admin import secrets
from scheduler.documents import DataEntry
from scheduler.files import storage
from scheduler.identifiers import Attempt, JobId
from scheduler.keyring import Keyring
from scheduler.rules.job_type import definition as definitions
from scheduler.rules.job_type import runners
from scheduler.rules.job_type.definition import Definition
from scheduler.settings import Settings
from scheduler.store.executions import task_specs
from scheduler.store.executions.task_specs import StoredFile, TaskSpecRow

LOCAL = "file://"
WEB = ("http://", "https://")


def specify(tx: Connection, rows: Sequence[TaskSpecRow], settings: Settings, keyring: Keyring) -> list[wire.TaskSpec]:
    """Return a spec for each row of `task_specs.read`, in order, with the files and secrets that it names. Raises Unavailable."""
    wanted = {file_id for row in rows for entry in row.data.get("input_data", ()) for file_id in _file_ids(entry)}
    found = task_specs.files(tx, sorted(wanted))
    merged = [definitions.read(row.definition).with_overrides(row.overrides) for row in rows]
    pairs = [(row.project, name) for row, one in zip(rows, merged, strict=True) for name in _permitted(row, one)]
    known = secrets.values(tx, keyring, pairs)
    gangs = task_specs.gang_nodes(tx, [(row.job_id, row.attempt) for row in rows if row.members > 1])
    return [_spec(row, one, found, known, gangs, settings) for row, one in zip(rows, merged, strict=True)]


def _spec(
    row: TaskSpecRow,
    definition: Definition,
    files: Mapping[int, StoredFile],
    known: Mapping[tuple[str, str], str],
    gangs: Mapping[tuple[JobId, Attempt], Sequence[str]],
    settings: Settings,
) -> wire.TaskSpec:
    return wire.TaskSpec(
        execution_id=row.execution_id,
        attempt=row.attempt,
        token=row.token,
        job_id=row.job_id,
        job_name=row.job_name,
        type_name=row.type_name,
        type_version=row.type_version,
        project=row.project,
        amounts=wire.Amounts(cpus=row.cpus, mem=row.mem, disk=row.disk, custom=row.custom or {}),
        commands=_commands(definition),
        environment={**definition.environment, **_place_in_gang(row, gangs)},
        inputs=_inputs(definition, row, files, settings),
        outputs=[
            wire.OutputSpec(name=o.name, type=o.type, required=o.required, media_type=o.media_type, glob=o.glob)
            for o in definition.interface.outputs
            if row.member == 0  # only member 0 of a gang has outputs
        ],
        limits=wire.ExecutionLimits(
            timeout_s=row.timeout_s,
            pre_timeout_s=definition.pre_timeout_s,
            post_timeout_s=definition.post_timeout_s,
            grace_s=settings.grace_s if definition.grace_s is None else definition.grace_s,
            lease_s=row.lease_s,
            output_bytes=settings.output_bytes,
            output_files=settings.max_output_files,
            pids=definition.pids or settings.job_processes,
            nofile=definition.nofile or settings.job_open_files,
            nofile_asked=definition.nofile,
        ),
        secret_names=list(definition.secrets),
        secrets={
            name: known[row.project, name] for name in _permitted(row, definition) if (row.project, name) in known
        },
        ahead=row.ahead,
        priority=row.priority,
        tries=row.tries,
    )


def _permitted(row: TaskSpecRow, definition: Definition) -> list[str]:
    """Return the secrets that this job may have: leave that was withdrawn while it waited is withdrawn."""
    own = cast("list[str]", row.overrides.get("secrets", []))
    return [name for name in definition.secrets if row.may_have_secrets or name in own]


def _place_in_gang(row: TaskSpecRow, gangs: Mapping[tuple[JobId, Attempt], Sequence[str]]) -> dict[str, str]:
    if row.members == 1:
        return {}
    return {
        "GANGER_MEMBER": str(row.member),
        "GANGER_MEMBERS": str(row.members),
        "GANGER_GANG_NODES": ",".join(gangs[row.job_id, row.attempt]),
    }


def _commands(definition: Definition) -> wire.Commands:
    return wire.Commands(
        job=list(definition.command),
        pre=_listed(definition.pre_command),
        post=_listed(definition.post_command),
        cleanup=_listed(definition.cleanup_command),
        shell=definition.shell,
        runner=runners.kind_of(definition.runner),
        options=dict(definition.options),
    )


def _listed(argv: tuple[str, ...] | None) -> list[str] | None:
    return None if argv is None else list(argv)


def _inputs(
    definition: Definition, row: TaskSpecRow, files: Mapping[int, StoredFile], settings: Settings
) -> list[wire.InputSpec]:
    given = {entry["name"]: entry for entry in row.data.get("input_data", ())}
    own = {file_id: file for file_id, file in files.items() if file.project == row.project}
    return [
        wire.InputSpec(
            name=declared.name,
            type=declared.type,
            value=given[declared.name].get("value"),
            files=_apart(
                [_file(own[file_id], settings) for file_id in _file_ids(given[declared.name]) if file_id in own]
            ),
        )
        for declared in definition.interface.inputs
        if declared.name in given
    ]


def _apart(files: list[wire.InputFile]) -> list[wire.InputFile]:
    """Return files that lie in one folder under names of their own: outputs of many jobs often have the same."""
    counts = Counter(file.file_name for file in files)
    if len(counts) == len(files):
        return files
    width = len(str(len(files)))
    return [
        file
        if counts[file.file_name] == 1
        else file.model_copy(update={"file_name": f"{number:0{width}}-{file.file_name}"})
        for number, file in enumerate(files)
    ]


def _file_ids(entry: DataEntry) -> tuple[int, ...]:
    if "file_id" in entry:
        return (entry["file_id"],)
    return tuple(entry.get("file_ids", ()))


def _file(row: StoredFile, settings: Settings) -> wire.InputFile:
    local = f"{row.url.removeprefix(LOCAL).rstrip('/')}/{row.path}" if row.url.startswith(LOCAL) else None
    return wire.InputFile(
        file_id=row.id,
        file_name=row.file_name,
        size=row.file_size,
        sha256=row.sha256,
        url=f"/node/files/{row.id}/content/",
        local_path=local,
        source=storage.source(row.url, row.path),
        source_networks=settings.web_networks.split(",") if row.url.startswith(WEB) else None,
    )
