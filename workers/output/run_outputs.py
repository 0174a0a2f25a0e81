"""The output of everything that runs here: followed while a command runs, handed over, and removed.

Used by the thread of the event loop alone. Shipping itself has a thread of its own (`shipper`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Any

from workers.output.progress import ProgressTracker
from workers.output.shipper import OutputShipper
from workers.output.usage import UsageTracker
from workers.paths import ExecutionKey, Paths
from workers.supervisor.limits import ENVIRONMENT
from workers.supervisor.output_order import SUFFIX
from workers.supervisor.request import RunRequest


class RunOutputs:
    """Knows which output files an execution has, for those of which this life has started every command."""

    def __init__(self, paths: Paths, shipper: OutputShipper, progress: ProgressTracker, usage: UsageTracker) -> None:
        self._paths, self._shipper, self._progress, self._usage = paths, shipper, progress, usage
        self._files: dict[ExecutionKey, list[str]] = {}

    def begin(self, key: ExecutionKey) -> None:
        """An execution begins from its start, in this life: all its output files are known from now on."""
        self._files[key] = []

    def follow(self, key: ExecutionKey, run: RunRequest) -> None:
        """Ship the output of this command, and what it says of its progress, from now on."""
        if run.phase == ENVIRONMENT:
            run = run._replace(phase="pre")
        self._shipper.follow(key, run)
        self._progress.phase(key, run.phase)
        if key in self._files:
            self._files[key] += run.stdout, run.stderr, run.stdout + SUFFIX

    def keep(self, key: ExecutionKey, phase: str, streams: Mapping[str, str]) -> None:
        """A command has ended: ship what it wrote to streams that have no file."""
        self._shipper.keep(key, phase, streams)
        for name in streams if key in self._files else ():
            with contextlib.suppress(ValueError):
                self._files[key].remove(self._paths.log(key, phase, name))

    def note_phases(self, key: ExecutionKey, phases: Mapping[str, Mapping[str, Any]]) -> None:
        """Tell with the next heartbeat when the phases of an execution began and ended."""
        self._progress.phases(key, phases)
        self._usage.note_phases(key, phases)

    def finish(self, key: ExecutionKey, output_bytes: int, kept: Mapping[str, Mapping[str, str]]) -> bool:
        """Nothing more will be written. True if all is shipped already, else the shipper says when.

        `kept` is what stands in no file, by phase and stream.
        """
        return self._shipper.finish(key, output_bytes, kept, all_known=key in self._files)

    def remove(self, key: ExecutionKey) -> None:
        """Forget the execution, and remove its output files."""
        self._shipper.drop(key)
        self._progress.drop(key)
        self._usage.drop(key)
        files = self._files.pop(key, None)
        for path in self._paths.all_logs(key) if files is None else files:
            with contextlib.suppress(OSError):
                os.unlink(path)  # noqa: PTH108
