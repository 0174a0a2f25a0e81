"""Staging: the pre phase makes a fresh directory and puts every input file there, its size and SHA-256 verified.

The directory belongs to the node until everything is in place, so that no other process of the job's user can put a
link in the way of a copy.
"""

from __future__ import annotations

import errno
import functools
import os
import resource
from pathlib import Path

from scheduler.wire import InputSpec, TaskSpec
from workers import runners
from workers.events import ExecutionFailure
from workers.files import secret_dirs, work_dirs
from workers.files.fetching import StagingFailed, StagingResources, StagingStopped, StagingTask, hand_to_user, place
from workers.paths import ExecutionKey, tree_name
from workers.runners import container, images, oci
from workers.runners.images import ImageRequest
from workers.runners.unpacking import ImageError
from workers.supervisor.limits import NO_ROOM, PHASES

__all__ = ["StagingResources", "StagingTask", "needs_files", "stage"]

_NAME_BYTES = 255
_NO_ROOM = NO_ROOM | {errno.EFBIG}


def needs_files(spec: TaskSpec) -> bool:
    """Return whether staging this takes longer than making a few directories."""
    return any(one.type != "property" for one in spec.inputs) or secret_dirs.is_needed(spec)


def stage(spec: TaskSpec, staging: StagingTask) -> ExecutionFailure | None:
    """Make the attempt's directory with its inputs, secrets and container; return why that failed."""
    try:
        _prepare(spec, staging)
    except StagingFailed as failed:
        return failed.failure
    except StagingStopped:
        return ExecutionFailure("staging", "Staging was stopped.")
    except (runners.LaunchRefused, ImageError) as refused:
        return ExecutionFailure("launch", str(refused), of_job=refused.of_job)
    except OSError as error:
        return _of_system(error)
    return None


def _prepare(spec: TaskSpec, staging: StagingTask) -> None:
    _check_limits(spec)
    key: ExecutionKey = spec.execution_id, spec.attempt
    paths = staging.paths
    staging.work_dirs.make(paths.attempt(key), spec.project)
    for one in spec.inputs:
        if one.type != "property":
            _stage_input(one, paths.inputs(key), staging)
    gone = [name for name in spec.secret_names if name not in spec.secrets]
    if gone:
        raise StagingFailed("staging", f"The project has no secret {gone[0]!r} any more.")
    if secret_dirs.is_needed(spec):
        secret_dirs.make(spec, paths, staging.user, staging.resources.remover)
    if spec.commands.runner == "container":
        _furnish(spec, staging)
    work_dirs.hand_over(paths.attempt(key), staging.uid, staging.gid)


def _check_limits(spec: TaskSpec) -> None:
    """Refuse a job that asks for more than this machine gives anybody: to get less without a word helps nobody."""
    most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    asked = spec.limits.nofile_asked
    if asked is not None and most_files not in {resource.RLIM_INFINITY, -1} and asked > most_files:
        raise runners.LaunchRefused(
            f"The job asks for {asked} open files, and a process on this node may have {most_files} at most.",
            of_job=True,
        )
    most_processes = _most_processes()
    if spec.limits.pids is not None and most_processes is not None and spec.limits.pids > most_processes:
        raise runners.LaunchRefused(
            f"The job asks for {spec.limits.pids} processes, and this node can have {most_processes} at most.",
            of_job=True,
        )


@functools.cache
def _most_processes() -> int | None:
    try:
        return int(Path("/proc/sys/kernel/pid_max").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _furnish(spec: TaskSpec, staging: StagingTask) -> None:
    """Describe a container for each phase that has a command."""
    options = spec.commands.options
    wanted = ImageRequest(str(options.get("image", "")), tree_name((spec.execution_id, spec.attempt)), staging.user)
    rootfs = images.root_of(wanted, staging.paths.work, staging.resources.kept, staging.stop)
    user = staging.user or (os.geteuid(), os.getegid())
    for phase in PHASES:
        request = runners.LaunchRequest(spec, phase, staging.paths, staging.resources.node, staging.gpus)
        if request.arguments:
            document = container.describe(request, rootfs, user)
            oci.write(staging.paths.secret_dir(request.key), phase, document)


def _stage_input(one: InputSpec, folder: str, staging: StagingTask) -> None:
    _check_name(one.name)
    os.mkdir(f"{folder}/{one.name}", 0o700)  # noqa: PTH102
    hand_to_user(f"{folder}/{one.name}", staging)
    for file in one.files:
        _check_name(file.file_name)
        place(file, f"{folder}/{one.name}/{file.file_name}", staging)


def _check_name(name: str) -> None:
    if name in {"", ".", ".."} or "/" in name or "\0" in name or len(os.fsencode(name)) > _NAME_BYTES:
        raise StagingFailed("staging", f"The input cannot be named {name[:100]!r}.")


def _of_system(error: OSError) -> ExecutionFailure:
    if error.errno in _NO_ROOM:
        return ExecutionFailure("disk-full", "There was no room on the node's disk for the inputs.")
    return ExecutionFailure("staging", f"The inputs could not be staged: {error.strerror}.")
