"""The output files of everything that runs here: laid out before a command starts, followed, and used again.

Used by the thread of the event loop alone. Shipping itself has a thread of its own (`shipper`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.output.log_file_pool import LogFilePool
from workers.output.progress import ProgressTracker
from workers.output.shipper import OutputShipper
from workers.paths import ExecutionKey, Paths
from workers.supervisor.limits import ENVIRONMENT
from workers.supervisor.request import RunRequest


class RunOutputs:
    """Knows which output files an execution has, for those of which this life has started every command."""

    def __init__(self, paths: Paths, pool: LogFilePool, shipper: OutputShipper, progress: ProgressTracker) -> None:
        self._paths, self._pool, self._shipper, self._progress = paths, pool, shipper, progress
        self._files: dict[ExecutionKey, list[str]] = {}

    def begin(self, key: ExecutionKey) -> None:
        """An execution begins from its start, in this life: all its output files are known from now on."""
        self._files[key] = []

    def prepare(self, key: ExecutionKey, run: RunRequest) -> None:
        """Lay out the output files of a command that is to be started, and follow them. May be repeated."""
        known = self._files.get(key)
        if known is not None and run.stdout not in known:  # for the first time: there is no output yet
            self._pool.place(run.stdout)
            self._pool.place(run.stderr)
        self.follow(key, run)

    def follow(self, key: ExecutionKey, run: RunRequest) -> None:
        """Ship the output of this command, and what it says of its progress, from now on."""
        if run.phase == ENVIRONMENT:
            run = run._replace(phase="pre")
        self._shipper.follow(key, run)
        self._progress.phase(key, run.phase)
        if key in self._files:
            self._files[key] += run.stdout, run.stderr

    def note_phases(self, key: ExecutionKey, phases: Mapping[str, Mapping[str, Any]]) -> None:
        """Tell with the next heartbeat when the phases of an execution began and ended."""
        self._progress.phases(key, phases)

    def finish(self, key: ExecutionKey, output_bytes: int) -> bool:
        """Nothing more will be written. True if all is shipped already, else the shipper says when."""
        return self._shipper.finish(key, output_bytes, all_known=key in self._files)

    def remove(self, key: ExecutionKey) -> None:
        """Forget the execution, and take its output files back."""
        self._shipper.drop(key)
        self._progress.drop(key)
        files = self._files.pop(key, None)
        for path in self._paths.all_logs(key) if files is None else files:
            self._pool.recycle(path)
