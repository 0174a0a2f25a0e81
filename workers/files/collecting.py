"""Collecting: the post phase finds the declared outputs, makes sure that they are what they seem, and uploads them.

Programs are not trusted here. The process tree is dead by now, but it may have left links, pipes, devices, other
people's files, files of any length and number, or names that lead out of the directory: see `found_outputs`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Event as Flag

from scheduler.identifiers import FileId
from scheduler.wire import OutputFacts, OutputSpec, OutputValue, TaskSpec
from workers.api_client import ApiClient
from workers.events import ExecutionFailure, OutputsCollected
from workers.files import beneath, found_outputs, manifest, results_manifest
from workers.files.found_outputs import FoundFile, OutputBounds, OutputRefusedError
from workers.files.globs import GlobError
from workers.files.manifest import ManifestError, OutputManifest
from workers.files.results_manifest import NamedOutputFile, NamedOutputs
from workers.files.uploading import OutputUpload
from workers.paths import ExecutionKey, Paths
from workers.runners import oci

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
    folder = paths.outputs((spec.execution_id, spec.attempt))
    return not spec.outputs and not any(
        os.path.lexists(f"{folder}/{name}") for name in (manifest.NAME, results_manifest.NAME)
    )


def collect(spec: TaskSpec, collecting: CollectingTask) -> OutputsCollected:
    """Check and upload the outputs that the interface declares. The same outputs may be uploaded again without harm."""
    key: ExecutionKey = spec.execution_id, spec.attempt
    try:
        folder = _open_folder(key, collecting.paths)
    except OSError as error:
        return _failed(key, f"The output directory is gone, closed or a link: {error.strerror}.")
    try:
        said = _manifest(folder, collecting.uid)
        named = _named(spec, folder, collecting)
        outputs = _publish(spec, folder, said.properties, named, collecting)
    except OutputRefusedError as refused:
        return OutputsCollected(key, failure=refused.failure)
    except ManifestError as error:
        return _failed(key, str(error))
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
    body = _own_file(folder, manifest.NAME, manifest.MOST_BYTES, uid)
    return OutputManifest() if body is None else manifest.read(body)


def _named(spec: TaskSpec, folder: int, collecting: CollectingTask) -> NamedOutputs:
    """Return the files that the program itself has named, by output: in its results manifest, or in lines of its output."""
    paths, key = collecting.paths, (spec.execution_id, spec.attempt)
    declared = {output.name for output in spec.outputs if output.type != "property"}
    in_container = spec.commands.runner == "container"
    seen = f"{oci.INSIDE}/out" if in_container else paths.outputs(key)
    printed: NamedOutputs = {}
    if declared:
        with contextlib.suppress(OSError), open(paths.log(key, "job", "stdout"), "rb") as stdout:  # noqa: PTH123
            printed = results_manifest.printed(stdout.read(spec.limits.output_bytes), seen)
    body = _own_file(folder, results_manifest.NAME, results_manifest.MOST_BYTES, collecting.uid)
    written = {} if body is None else results_manifest.read(body, seen)
    for name in written:
        if name not in declared:
            raise ManifestError(
                f"{results_manifest.NAME} names the output {name!r}, which is no output file of the job type."
            )
    return {**{name: files for name, files in printed.items() if name in declared}, **written}


def _own_file(folder: int, name: str, most: int, uid: int | None) -> bytes | None:
    """Return what a file of the program's in the output directory holds, None if there is none."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    fd = found_outputs.open_found(folder, name)
    try:
        found_outputs.check_own(name, os.fstat(fd), uid)
        if os.fstat(fd).st_size > most:
            raise OutputRefusedError("invalid-output", f"{name} is larger than {most} bytes.")
        return os.pread(fd, most, 0)
    finally:
        os.close(fd)


def _publish(
    spec: TaskSpec, folder: int, properties: Mapping[str, object], named: NamedOutputs, collecting: CollectingTask
) -> list[OutputValue]:
    """Find everything, check it, and only then upload."""
    upload = OutputUpload(collecting.api, spec, folder, collecting.stop)
    disk = spec.amounts.disk * _MIB // 1000 or None
    bounds = OutputBounds(collecting.uid, spec.limits.output_files, disk)
    of_files = [output for output in spec.outputs if output.type != "property"]
    paths = {name: [one.path for one in files] for name, files in named.items()}
    found = found_outputs.find(folder, of_files, bounds, upload.check, paths) if of_files else {}
    for output in spec.outputs:
        _check_presence(output, found.get(output.name, ()), properties)
    ids = upload.upload([(output, one) for output in of_files for one in found[output.name]])
    values = []
    for output in spec.outputs:
        if output.type == "property":
            if output.name in properties:
                values.append(OutputValue(name=output.name, value=properties[output.name]))
        elif mine := [next(ids) for _ in found[output.name]]:
            facts = _facts(named.get(output.name, ()), mine)
            ids_of = {"file_id": mine[0]} if output.type == "file" else {"file_ids": mine}
            values.append(OutputValue(name=output.name, facts=facts, **ids_of))
    return values


def _facts(files: Sequence[NamedOutputFile], ids: Sequence[FileId]) -> list[OutputFacts]:
    """Return what the program said of the data in these files, of those of which it said something."""
    return [
        OutputFacts(file_id=file_id, data_started=one.data_started, data_ended=one.data_ended, geometry=one.geometry)
        for one, file_id in zip(files, ids, strict=False)  # without names there are no facts
        if one.data_started or one.data_ended or one.geometry
    ]


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
