"""How a run begins: its process tree, its output pipes and its program, all of them or nothing."""

import time
from typing import Final

from workers.supervisor.confining.cells import Cell
from workers.supervisor.disk_usage import DiskUsage
from workers.supervisor.output_pipes import OutputMover, RunOutput
from workers.supervisor.reasons import EndReason
from workers.supervisor.request import RunRequest
from workers.supervisor.runs.run import Run, RunEvent, ended_event
from workers.supervisor.spawn import LaunchError, ProcessSpawner, ProgramError
from workers.supervisor.trees import Tree, TreeKind


class RunStarter:
    """Starts runs of one kind of process tree, and puts away what was made for them."""

    def __init__(self, kind: TreeKind, spawner: ProcessSpawner, mover: OutputMover) -> None:
        self._kind: Final = kind
        self._spawner: Final = spawner
        self._mover: Final = mover

    def start(self, request: RunRequest) -> Run | RunEvent:
        """Start a program in a new tree. Returns the `ended` event, which says why, if that fails; then nothing is left."""
        wall = time.time()
        tree = output = cell = None
        try:
            cell = self._spawner.cell(request) if self._kind.takes_cells else None
            tree = self._kind.create(request.tree, request.limits.of_tree, cell)
            output = RunOutput(request)
            pid = self._spawner.spawn(request, tree, output.writers, cell)
            tree.born(pid)
        except OSError as error:
            if output is not None:
                output.close()
            self._put_away(tree, cell)
            text = str(error.strerror) if isinstance(error, LaunchError) else f"no tree can be made: {error}"
            return ended_event(
                (request.tree, request.phase), EndReason.LAUNCH, started=wall, ended=wall, message=text,
                errno=error.errno, of_program=isinstance(error, ProgramError),
            )  # fmt: skip
        boot = time.clock_gettime(time.CLOCK_BOOTTIME)
        run = Run(tree, request.phase, pid, now=time.monotonic(), boot=boot, wall=wall)
        run.limit_time(request.timeout_s, request.grace_s, request.lease_s)
        output.close_writers()
        self._mover.add(output)
        run.output, run.cell = output, cell
        if request.folder is not None:
            run.disk_usage = DiskUsage(request.folder, request.limits.disk_bytes)
        return run

    def end(self, run: Run) -> None:
        """The run is over and its end is known: put away what was made for it."""
        self._put_away(run.tree, run.cell)

    def _put_away(self, tree: Tree | None, cell: Cell | None) -> None:
        if cell is not None:
            self._spawner.cells.give_back(cell)
        if tree is not None:
            tree.remove()

    def end_output(self, run: Run) -> None:
        """The run is over: move the rest of its output to its log files, and end its checks."""
        run.close()
        if run.output is not None:
            self._mover.remove(run.tree.name, run.output)
