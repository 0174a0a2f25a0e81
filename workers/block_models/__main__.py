"""Runs one request: `python -m workers.block_models`, within the directories and variables that a job has."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workers.block_models import grid
from workers.block_models.problem import BlockModelProblem
from workers.block_models.query import query
from workers.block_models.report import report
from workers.block_models.update import update

_PROGRESS_ROWS = 100_000


def main() -> int:
    """Do what the request says and write `results.json`; a problem is an answer, too."""
    outputs, inputs = Path(os.environ["GANGER_OUTPUT_DIR"]), Path(os.environ["GANGER_INPUT_DIR"])
    request = json.loads(os.environ["GANGER_INPUT_REQUEST"])
    try:
        properties: dict[str, Any] = {"result": _done(request, inputs, outputs)}
        message = ""
    except BlockModelProblem as problem:
        properties = {"problem": {"title": problem.title, "detail": str(problem)[:1500]}}
        message = str(problem)[:1500]
        _remove(outputs)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        sys.stderr.write("the disk of the node, or the room of this job, is full\n")
        return 75  # EX_TEMPFAIL: another node may have room
    (outputs / "results.json").write_text(json.dumps({"properties": properties, "message": message}), encoding="utf-8")
    return 0


def _done(request: dict[str, Any], inputs: Path, outputs: Path) -> dict[str, Any]:
    told = _RowCounter()
    if request["do"] == "refuse":
        raise BlockModelProblem(request["title"], request["detail"])
    if request["do"] == "create":
        return {"blocks": grid.read(request["grid"]).count}
    done: Callable[..., dict[str, Any]] = {"query": query, "report": report, "update": update}[request["do"]]
    return done(request, inputs, outputs, told)


class _RowCounter:
    """Prints how many rows are done, now and then."""

    def __init__(self) -> None:
        self._next = _PROGRESS_ROWS

    def __call__(self, rows: int) -> None:
        if rows >= self._next:
            sys.stdout.write(f"{rows} rows\n")
            sys.stdout.flush()
            self._next = rows + _PROGRESS_ROWS


def _remove(outputs: Path) -> None:
    """Remove what was written before a problem was met: it must not be taken for a result."""
    for path in sorted(outputs.glob("*")):
        path.unlink()


if __name__ == "__main__":
    sys.exit(main())
