"""Collecting: the post phase finds the declared outputs, makes sure that they are what they seem, and uploads them.

Programs are not trusted here. The process tree is dead by now, but it may have left links, pipes, devices, other
people's files, files of any length and number, or names that lead out of the directory: see `found_outputs`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Event as Flag

from scheduler.wire import OutputSpec, OutputValue, TaskSpec
from workers.api_client import ApiClient
from workers.events import ExecutionFailure, OutputsCollected
from workers.files import beneath, found_outputs, manifest
from workers.files.found_outputs import FoundFile, OutputBounds, OutputRefusedError
from workers.files.globs import GlobError
from workers.files.manifest import ManifestError, OutputManifest
from workers.files.uploading import OutputUpload
from workers.paths import ExecutionKey, Paths

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class CollectingTask:
    """Where to collect, and whose files count. Others set `stop` to have the work given up."""

    api: ApiClient
    paths: Paths
    uid: int | None
    stop: Flag


def is_light(spec: TaskSpec, paths: Paths) -> bool:
    """Return whether collecting takes no time: no outputs are declared and no manifest was written."""
    key = spec.execution_id, spec.attempt
    return not spec.outputs and not os.path.lexists(f"{paths.outputs(key)}/{manifest.NAME}")


def collect(spec: TaskSpec, collecting: CollectingTask) -> OutputsCollected:
    """Check and upload the outputs that the interface declares. The same outputs may be uploaded again without harm."""
    key: ExecutionKey = spec.execution_id, spec.attempt
    try:
        folder = _open_folder(key, collecting.paths)
    except OSError as error:
        return _failed(key, f"The output directory is gone, closed or a link: {error.strerror}.")
    try:
        said = _manifest(folder, collecting.uid)
        outputs = _publish(spec, folder, said.properties, collecting)
    except OutputRefusedError as refused:
        return OutputsCollected(key, failure=refused.failure)
    except GlobError as error:
        return _failed(key, f"An output of the job type cannot be found: {error}.")
    except OSError as error:
        return _failed(key, f"Outputs cannot be read: {error.strerror}.")
    finally:
        os.close(folder)
    return OutputsCollected(key, outputs, said.properties, said.message)


def _failed(key: ExecutionKey, sentence: str) -> OutputsCollected:
    return OutputsCollected(key, failure=ExecutionFailure("invalid-output", sentence))


def _open_folder(key: ExecutionKey, paths: Paths) -> int:
    attempt = os.open(paths.attempt(key), beneath.FOLDER)
    try:
        return beneath.open_beneath(attempt, "out", beneath.FOLDER)
    finally:
        os.close(attempt)


def _manifest(folder: int, uid: int | None) -> OutputManifest:
    try:
        os.stat(manifest.NAME, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return OutputManifest()
    fd = found_outputs.open_found(folder, manifest.NAME)
    try:
        found_outputs.check_own(manifest.NAME, os.fstat(fd), uid)
        if os.fstat(fd).st_size > manifest.MOST_BYTES:
            raise OutputRefusedError("invalid-output", f"{manifest.NAME} is larger than {manifest.MOST_BYTES} bytes.")
        return manifest.read(os.pread(fd, manifest.MOST_BYTES, 0))
    except ManifestError as error:
        raise OutputRefusedError("invalid-output", str(error)) from error
    finally:
        os.close(fd)


def _publish(
    spec: TaskSpec, folder: int, properties: Mapping[str, object], collecting: CollectingTask
) -> list[OutputValue]:
    """Find everything, check it, and only then upload."""
    upload = OutputUpload(collecting.api, spec, folder, collecting.stop)
    disk = spec.amounts.disk * _MIB // 1000 or None
    bounds = OutputBounds(collecting.uid, spec.limits.output_files, disk)
    of_files = [output for output in spec.outputs if output.type != "property"]
    found = found_outputs.find(folder, of_files, bounds, upload.check) if of_files else {}
    for output in spec.outputs:
        _check_presence(output, found.get(output.name, ()), properties)
    ids = upload.upload([(output, one) for output in of_files for one in found[output.name]])
    values = []
    for output in spec.outputs:
        if output.type == "property":
            if output.name in properties:
                values.append(OutputValue(name=output.name, value=properties[output.name]))
        elif mine := [next(ids) for _ in found[output.name]]:
            is_one = output.type == "file"
            values.append(OutputValue(name=output.name, **({"file_id": mine[0]} if is_one else {"file_ids": mine})))
    return values


def _check_presence(output: OutputSpec, found: Sequence[FoundFile], properties: Mapping[str, object]) -> None:
    if output.type == "property":
        if output.name not in properties and output.required:
            raise OutputRefusedError("missing-output", f"The program did not set the output property {output.name!r}.")
        return
    if not found and output.required:
        raise OutputRefusedError("missing-output", f"The program left no file for the output {output.name!r}.")
    if output.type == "file" and len(found) > 1:
        names = ", ".join(found_outputs.shown(one.path) for one in found[:3])
        raise OutputRefusedError(
            "invalid-output", f"The output {output.name!r} is one file, but {len(found)} match: {names}."
        )
