"""The built-in job types that work on data sets, with the program that they carry.

The program is a text of the definition: whatever node runs such a job, one with another release or with plain Python, runs
the program that the scheduler's release has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection

from scheduler.data_sets.preparing import COLUMNS, DATA, REQUEST
from scheduler.rules.data_sets.words import TYPES, VERSION, DataSetWork
from scheduler.rules.job_type.definition import Definition
from scheduler.rules.job_type.interface import DeclaredInput, DeclaredOutput, Interface
from scheduler.store.admin import job_types
from scheduler.store.admin.job_types import NewJobType

_TITLES: Final = {
    DataSetWork.CREATE: ("Create a block model", "Makes the first version of a data set that has a regular grid."),
    DataSetWork.UPDATE: (
        "Update a block model",
        "Brings the rows of a CSV or Parquet file to the columns of a block model, as its next version.",
    ),
    DataSetWork.QUERY: ("Query a block model", "Writes blocks of one version to a CSV or Parquet file."),
    DataSetWork.REPORT: (
        "Report on a block model",
        "Sums up masses and values of one version by categories and cut-offs.",
    ),
}
_VARIABLE: Final = "BLOCK_MODEL_PROGRAM"
_START: Final = f"""\
import base64, os, runpy, sys, zlib
path = os.path.join(os.environ["GANGER_WORK_DIR"], "block_models.zip")
with open(path, "wb") as file:
    file.write(zlib.decompress(base64.b64decode(os.environ.pop("{_VARIABLE}"))))
sys.path.insert(0, path)
runpy.run_module("workers.block_models", run_name="__main__", alter_sys=True)
"""
_MIB: Final = 1_000
_INTERFACE: Final = Interface(
    inputs=(
        DeclaredInput(REQUEST, "property", required=False),
        DeclaredInput(COLUMNS, "files", required=False),
        DeclaredInput(DATA, "file", required=False),
    ),
    outputs=(
        DeclaredOutput("new_columns", "files", required=False, glob="*.column"),
        DeclaredOutput("result", "file", required=False, glob="blocks.*"),
    ),
)


def seed(tx: Connection, program: str) -> None:
    """Write the types that are missing; one whose definition has changed with this release gets a new revision."""
    for new, definition in _all(program):
        document = definition.document()
        if job_types.insert(tx, new, document) is not None:
            continue
        type_id = job_types.owned(tx, new.name, new.version, None)
        there = None if type_id is None else job_types.lock(tx, type_id)
        if type_id is not None and there is not None and there.definition != document:
            job_types.insert_revision(tx, type_id, there.revision_num + 1, document)
            job_types.update(tx, type_id, there._replace(revision_num=there.revision_num + 1))


def _all(program: str) -> Iterator[tuple[NewJobType, Definition]]:
    for work, name in TYPES.items():
        title, description = _TITLES[work]
        new = NewJobType(name, VERSION, title=title, description=description, category="block models", is_system=True)
        yield new, _definition(program)


def _definition(program: str) -> Definition:
    return Definition(
        runner="python",
        command=("-c", _START),
        environment={_VARIABLE: program},
        interface=_INTERFACE,
        cpus=1_000,
        mem=512 * _MIB,
        # Parquet comes in pieces as large as its writer made them; what CSV needs does not grow.
        on_oom={"mem_factor": 2_000, "mem_max": 16_384 * _MIB},
        disk_out=256 * _MIB,
        timeout_s=6 * 3_600,
        max_tries=3,
        exit_codes={"75": "disk-full"},
    )
