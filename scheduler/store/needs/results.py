"""What jobs have made, as others take it: results of parents, and results that somebody gave a job."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from sqlalchemy import Connection, text

from scheduler.documents import JobResults
from scheduler.identifiers import JobId

_WRITE = text("""
    UPDATE job_specs q
    SET results = v.value
    FROM jsonb_each(CAST(:results AS jsonb)) AS v
    WHERE q.job_id = CAST(v.key AS bigint)
""")


def write(tx: Connection, results: Mapping[JobId, JobResults]) -> None:
    """Write the results of these jobs."""
    if results:
        tx.execute(_WRITE, {"results": orjson.dumps({str(one): found for one, found in results.items()}).decode()})
