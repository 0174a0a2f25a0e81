"""The words of data sets: kinds of sets, kinds of work on them, and the job types that do it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

BLOCK_MODEL: Final = "block-model"
"""The kind of data set that there is: values of blocks in a regular grid."""


class DataSetWork(StrEnum):
    """What a job does with a data set. All but queries and reports make a new version, one after the other."""

    CREATE = "create"
    UPDATE = "update"
    QUERY = "query"
    REPORT = "report"

    @property
    def only_reads(self) -> bool:
        """Whether it makes no version."""
        return self in {DataSetWork.QUERY, DataSetWork.REPORT}


VERSION: Final = "1.0"
TYPES: Final = {
    DataSetWork.CREATE: "blockmodel/create",
    DataSetWork.UPDATE: "blockmodel/update",
    DataSetWork.QUERY: "blockmodel/query",
    DataSetWork.REPORT: "blockmodel/report",
}
"""The built-in job types, by the work they do."""
