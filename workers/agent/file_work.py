"""The agent's own work on files: staging inputs, collecting outputs, removing directories.

Work that takes no time is done at once, in the thread that asks for it: an execution without inputs and outputs is
over in less than a millisecond, and a thread for it would cost more than the work. Everything else goes to a pool of
threads, and its end comes back as an event.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from scheduler.wire import TaskSpec
from workers.agent.file_pool import FilePool
from workers.api_client import ApiClient
from workers.commands import CollectOutputs, KeepVenv, MendWorkDir, StageInputs
from workers.events import Event, ExecutionFailure, InputsStaged, OutputsCollected, VenvKept
from workers.files import collecting, secret_dirs, staging
from workers.files.collecting import CollectingTask
from workers.files.staging import StagingResources, StagingTask
from workers.files.work_dirs import WorkDirs
from workers.paths import ExecutionKey, Paths
from workers.runners import venvs

_NEVER_STOPPED = threading.Event()
"""For work that is over before anybody could stop it."""


class FileWork:
    """Stages, collects and removes. Used by one thread, but for `close`."""

    def __init__(
        self,
        api: ApiClient,
        paths: Paths,
        work_dirs: WorkDirs,
        resources: StagingResources,
        post: Callable[[Event], None],
        threads: int,
    ) -> None:
        """`post` is called from the pools' threads. `threads` executions stage, and as many collect, at a time: see `file_pool`."""
        self._api, self._paths, self._work_dirs, self._resources = api, paths, work_dirs, resources
        self._stagers = FilePool("stager", threads, post)
        self._collectors = FilePool("collector", threads, post)

    def stage(self, command: StageInputs) -> InputsStaged | None:
        """Make the directory and stage the inputs; return the event if that is done already, else it is posted."""
        spec = command.spec
        key = spec.execution_id, spec.attempt
        if not staging.needs_files(spec) and not venvs.is_wanted(spec):
            return InputsStaged(key, staging.stage(spec, self._staging_task(command, _NEVER_STOPPED)))
        self._stagers.submit(
            spec,
            lambda stop: self._stage_all(spec, self._staging_task(command, stop)),
            InputsStaged(key, ExecutionFailure("staging", "Staging was given up, or failed as nobody expected.")),
        )
        return None

    def keep_venv(self, command: KeepVenv) -> None:
        """Make an execution's Python environment the node's own; the event is posted."""
        spec = command.spec
        key = spec.execution_id, spec.attempt

        def work(_: threading.Event) -> VenvKept:
            try:
                venvs.keep(spec, self._paths, self._resources.kept)
            except venvs.VenvError as error:
                return VenvKept(key, ExecutionFailure("staging", str(error)))
            return VenvKept(key)

        failure = ExecutionFailure("staging", "The Python environment cannot be kept.")
        self._stagers.submit(spec, work, VenvKept(key, failure))

    def collect(self, command: CollectOutputs) -> OutputsCollected | None:
        """Check and upload the outputs; return the event if there are none, else it is posted."""
        spec = command.spec
        key = spec.execution_id, spec.attempt
        if collecting.is_light(spec, self._paths):
            return OutputsCollected(key)
        failure = ExecutionFailure("invalid-output", "Collecting was given up, or failed as nobody expected.")
        self._collectors.submit(
            spec,
            lambda stop: collecting.collect(spec, CollectingTask(self._api, self._paths, command.uid, stop)),
            OutputsCollected(key, failure=failure),
        )
        return None

    def stop(self, key: ExecutionKey) -> None:
        """Give up staging or collecting for this execution; its event comes in a moment, whatever that waits for."""
        self._stagers.stop(key)
        self._collectors.stop(key)

    def mend(self, command: MendWorkDir) -> None:
        """Make the execution's directory usable again, where the job has removed, replaced or closed it."""
        self._work_dirs.mend(self._paths.attempt(command.key), command.uid, command.gid)

    def remove(self, key: ExecutionKey) -> None:
        """Remove the execution's directories; its work is over and its tree is dead."""
        secret_dirs.remove(self._paths, key, self._resources.remover)
        self._work_dirs.put_away(self._paths.attempt(key))

    def close(self) -> None:
        """Give up everything that is under way; nothing more is posted for work that had not begun."""
        self._stagers.close()
        self._collectors.close()

    def _stage_all(self, spec: TaskSpec, task: StagingTask) -> InputsStaged:
        key = spec.execution_id, spec.attempt
        failure = staging.stage(spec, task)
        if failure is not None or not venvs.is_wanted(spec):
            return InputsStaged(key, failure)
        try:
            return InputsStaged(key, needs_venv=venvs.prepare(spec, self._paths.work, self._resources.kept))
        except (venvs.VenvError, OSError) as error:
            return InputsStaged(key, ExecutionFailure("staging", f"The Python environment cannot be made: {error}"))

    def _staging_task(self, command: StageInputs, stop: threading.Event) -> StagingTask:
        return StagingTask(
            self._api,
            self._paths,
            self._work_dirs,
            self._resources,
            command.uid,
            command.gid,
            stop,
            command.gpus,
        )
